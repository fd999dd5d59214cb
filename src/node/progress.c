/* How far an attempt is, before it gets a second copy.
 *
 * Who takes longer than its siblings is slow, or has more to do than they. Only the node that runs
 * it can tell, since programs say nothing: its mrtask counts what the program has read. So whoever
 * is about to make a copy asks first:
 *
 *   progress_ask, "this attempt"  -->                    over a stream, opened if need be
 *                                 <--  progress_told: it runs, for so long, has read so much
 *   no answer in time, or nothing to go by               a copy
 *   it will be done before a copy from here would be     none for so long; then another question
 *
 * How long a copy would take follows from what tasks of its kind took here, by the byte; else from
 * the median sibling. What has read all of its input has some of it still in pipes and buffers: the
 * end that it promised before holds, and some more. What never promised one is judged by time.
 *
 * Each node asks for itself and forgets soon: it is only ever about saving work. */
#include "node/progress.h"

#include "node/state.h"

enum {
    PATIENCE = 200 * MILLISECOND, /* a healthy node answers in a hundredth of it */
    AGAIN = 20 * MILLISECOND,     /* while the stream to it opens */
    ASK_LEAST = 200 * MILLISECOND,
    ASK_MOST = 5 * SECOND, /* it may have become slow since */
    FORGET = 30 * SECOND,
};

/* ---- who would make a copy ---- */

static struct progress_question *find(struct node *node, const struct msg_stamp *claim,
                                      enum task_kind kind, uint32_t task)
{
    for (size_t i = 0; i < PROGRESS_QUESTIONS_MAX; i++) {
        struct progress_question *question = &node->questions[i];
        if (question->asked != 0 && question->kind == kind && question->task == task &&
            stamp_equal(&question->claim, claim))
            return question;
    }
    return NULL;
}

/* A place for one more; NULL: too many are open. */
static struct progress_question *place(struct node *node)
{
    for (size_t i = 0; i < PROGRESS_QUESTIONS_MAX; i++) {
        struct progress_question *question = &node->questions[i];
        if (question->asked == 0 || node->now - question->asked > FORGET) return question;
    }
    return NULL;
}

/* When there is news of it. */
static instant ask(struct node *node, const struct job *job, struct progress_question *question)
{
    instant end = question->asked + PATIENCE;
    if (question->is_sent) return end;
    struct msg_progress_ask message = {.job = job->id,
                                       .kind = (uint8_t)question->kind,
                                       .task = question->task,
                                       .claim = question->claim};
    const struct link *link = links_need(node, &question->claim.node);
    question->is_sent =
        link != NULL && links_send(node, link->stream, &wire_progress_ask, &message);
    return question->is_sent ? end : instant_min(end, node->now + AGAIN);
}

instant progress_objects(void *context, const struct job *job, enum task_kind kind, uint32_t task,
                         const struct attempt *attempt)
{
    struct node *node = context;
    struct progress_question *question = find(node, &attempt->claim, kind, task);
    if (question != NULL && !question->is_answered) return ask(node, job, question);
    if (question != NULL && node->now < question->held) return question->held;
    if (question != NULL && question->held == 0) return node->now;
    instant end = question == NULL ? 0 : question->end;
    if (question == NULL && (question = place(node)) == NULL) return node->now;
    *question = (struct progress_question){
        .asked = node->now, .claim = attempt->claim, .kind = kind, .task = task, .end = end};
    return ask(node, job, question);
}

void progress_done(struct node *node, const struct running *running, uint64_t elapsed_ms)
{
    struct work *work = work_of(node, &running->job);
    if (work == NULL) return;
    struct pace *pace = &work->pace[running->kind];
    pace->bytes += running->input_size;
    pace->ms += elapsed_ms;
}

/* What a copy that is begun here now would take. */
static duration copy_time(const struct work *work, enum task_kind kind, uint64_t input_size)
{
    if (work->pace[kind].bytes == 0) return straggler_typical(work->job, kind);
    const struct pace *pace = &work->pace[kind];
    double ms = (double)input_size * (double)pace->ms / (double)pace->bytes;
    double most = (double)(INSTANT_NEVER / 4 / MILLISECOND);
    return (duration)(ms < most ? ms : most) * MILLISECOND;
}

/* How long the attempt will still run, by what its node says; 0: nobody knows. */
static duration left_of(const struct node *node, struct progress_question *question,
                        const struct msg_progress_told *say)
{
    uint64_t most = (uint64_t)(INSTANT_NEVER / 4) / MILLISECOND; /* whatever a message says */
    duration elapsed = (duration)(say->elapsed_ms < most ? say->elapsed_ms : most) * MILLISECOND;
    duration left = straggler_left(elapsed, say->read_size, say->input_size);
    if (left > 0) question->end = node->now + left;
    if (left > 0 || question->end == 0 || say->read_size < say->input_size) return left;
    instant end = question->end + elapsed / 4;
    return end > node->now ? end - node->now : 0;
}

static void told(struct node *node, const struct link *link, const struct msg_progress_told *say)
{
    struct progress_question *question =
        say->kind > TASK_REDUCE ? NULL : find(node, &say->claim, say->kind, say->task);
    if (question == NULL || !id_equal(&say->claim.node, &link->peer)) return;
    const struct work *work = work_of(node, &say->job); /* NULL: it has ended meanwhile */
    question->is_answered = true;
    question->held = 0;
    node->is_work_wanted = true;
    if (work == NULL || !say->is_running) return;
    duration left = left_of(node, question, say);
    if (left == 0 || left > copy_time(work, question->kind, say->input_size)) return;
    node_count(node, METRIC_copies_spared);
    left = left < ASK_LEAST ? ASK_LEAST : left;
    question->held = node->now + (left < ASK_MOST ? left : ASK_MOST);
}

/* ---- who runs it ---- */

static void asked(struct node *node, const struct link *link, const struct msg_progress_ask *ask)
{
    struct msg_progress_told nothing = {
        .job = ask->job, .kind = ask->kind, .task = ask->task, .claim = ask->claim};
    for (size_t i = 0; i < node->running_max; i++) {
        const struct running *running = &node->running[i];
        if (running->token == 0 || running->state != RUNNING_STARTED) continue;
        if (running->kind != ask->kind || running->task != ask->task ||
            !stamp_equal(&running->claim, &ask->claim))
            continue;
        struct action *action = actions_push(node->actions, ACTION_TAIL_READ);
        action->tail_read.token = running->token;
        action->tail_read.stream = link->stream;
        action->tail_read.request = running->token;
        action->tail_read.behind = UINT64_MAX; /* what it said is not wanted */
        return;
    }
    (void)links_send(node, link->stream, &wire_progress_told, &nothing);
}

void progress_read(struct node *node, const struct event *event)
{
    for (size_t i = 0; i < node->running_max; i++) {
        const struct running *running = &node->running[i];
        if (running->token == 0 || running->token != event->tail_read.request) continue;
        struct msg_progress_told say = {
            .job = running->job,
            .kind = (uint8_t)running->kind,
            .task = running->task,
            .claim = running->claim,
            .is_running = event->tail_read.is_running,
            .elapsed_ms = (uint64_t)((node->now - running->started) / MILLISECOND),
            .read_size = event->tail_read.read_size,
            .input_size = running->input_size,
        };
        (void)links_send(node, event->tail_read.stream, &wire_progress_told, &say);
        return;
    }
}

void progress_message(struct node *node, struct link *link, const struct wire_message *message)
{
    if (message->type == MSG_progress_ask) asked(node, link, message->fields);
    else told(node, link, message->fields);
}
