/* A table of names; jobs of one name are a list (job_names.h). So a whole name costs the same with
 * ten jobs and with a hundred thousand ended ones; only the beginning of a name is searched for
 * among all. */
#include "tasks/job_names.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

enum {
    NAME_SIZE = sizeof((struct job *)NULL)->name
};

void job_names_init(struct jobs *jobs)
{
    map_init(&jobs->by_name, jobs->memory, offsetof(struct job, name), NAME_SIZE);
}

void job_names_deinit(struct jobs *jobs) { map_deinit(&jobs->by_name); }

/* Without bytes that would confuse a terminal or "JOB/m12". Zeros behind it: it is a key. */
static void name_of(const struct job *job, char name[NAME_SIZE])
{
    size_t count = job->spec.name.count;
    assert(count < NAME_SIZE);
    memset(name, 0, NAME_SIZE);
    if (count == 0) (void)id_short(&job->id, name);
    for (size_t i = 0; i < count; i++) {
        uint8_t byte = job->spec.name.at[i];
        bool is_plain = byte >= 0x20 && byte != 0x7f && byte != '/';
        name[i] = is_plain ? (char)byte : '_';
    }
}

enum error job_names_reserve(struct jobs *jobs, size_t count)
{
    return map_reserve(&jobs->by_name, count);
}

static void add(struct jobs *jobs, struct job *first)
{
    enum error error = map_add(&jobs->by_name, first);
    assert(error == ERROR_NONE); /* there was room for it */
}

static void leave(struct jobs *jobs, struct job *job)
{
    struct job *first = map_remove(&jobs->by_name, job->name), **at = &first;
    while (*at != job) at = &(*at)->namesake;
    *at = job->namesake;
    job->namesake = NULL;
    if (first != NULL) add(jobs, first);
}

void job_names_set(struct jobs *jobs, struct job *job)
{
    char name[NAME_SIZE];
    name_of(job, name);
    if (memcmp(name, job->name, NAME_SIZE) == 0) return;
    if (job->name[0] != '\0') leave(jobs, job);
    memcpy(job->name, name, NAME_SIZE);
    job->namesake = map_remove(&jobs->by_name, name);
    add(jobs, job);
}

struct job *jobs_find_name(const struct jobs *jobs, struct slice text, size_t *matches)
{
    char name[NAME_SIZE] = {0};
    struct job *found = NULL;
    *matches = 0;
    if (text.count >= NAME_SIZE) return NULL;
    if (text.count > 0) memcpy(name, text.at, text.count);
    for (struct job *job = map_get(&jobs->by_name, name); job != NULL; job = job->namesake) {
        found = job;
        ++*matches;
    }
    for (struct job *job = found == NULL ? jobs->all : NULL; job != NULL; job = job->next) {
        if (!job->is_known || strncmp(job->name, name, text.count) != 0) continue;
        found = job;
        ++*matches;
    }
    return *matches == 1 ? found : NULL;
}
