#include "wire/kinds.h"

static const char *const cause_texts[] = {
#define CAUSE(name, text) [CAUSE_##name] = text,
#include "wire/causes.def"
#undef CAUSE
};

bool cause_is_copy(unsigned cause)
{
    return cause == CAUSE_STRAGGLER || cause == CAUSE_OWNER_SILENT;
}

const char *cause_text(unsigned cause)
{
    return cause < CAUSE_COUNT ? cause_texts[cause] : "unknown cause";
}

static const char *text_of(const char *const *texts, unsigned count, unsigned value)
{
    return value < count && texts[value] != 0 ? texts[value] : "unknown";
}

const char *member_state_text(unsigned state)
{
    static const char *const texts[] = {
        [MEMBER_ALIVE] = "alive", [MEMBER_SUSPECT] = "suspect",   [MEMBER_DEAD] = "dead",
        [MEMBER_LEFT] = "left",   [MEMBER_DEGRADED] = "degraded",
    };
    return text_of(texts, sizeof texts / sizeof *texts, state);
}

const char *job_outcome_text(unsigned outcome)
{
    static const char *const texts[] = {
        [JOB_RUNNING] = "running",
        [JOB_DONE] = "done",
        [JOB_FAILED] = "failed",
        [JOB_KILLED] = "killed",
    };
    return text_of(texts, sizeof texts / sizeof *texts, outcome);
}

const char *attempt_state_text(unsigned state)
{
    static const char *const texts[] = {
        [ATTEMPT_RUNNING] = "running",   [ATTEMPT_DONE] = "done", [ATTEMPT_FAILED] = "failed",
        [ATTEMPT_RELEASED] = "released", [ATTEMPT_DEAD] = "dead", [ATTEMPT_LOST] = "lost",
    };
    return text_of(texts, sizeof texts / sizeof *texts, state);
}
