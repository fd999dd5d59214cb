/* Reading the options (shuffle.h). */
#include "mapreduce/shuffle.h"

#include "mapreduce/builtin.h"

/* The variable's value; empty when there is none. The last one of its name counts, as exec(3) has
 * it in practice for a shell. */
static struct slice variable(const struct msg_task_spec *spec, const char *name)
{
    struct slice value = {0}, head = slice_string(name);
    const struct msg_text *texts = spec->environment.at;
    for (uint32_t i = 0; i < spec->environment.count; i++) {
        struct slice text = texts[i].text;
        if (text.count <= head.count || text.at[head.count] != '=') continue;
        if (memcmp(text.at, head.at, head.count) != 0) continue;
        value = slice_of(text.at + head.count + 1, text.count - head.count - 1);
    }
    return value;
}

static const char *read_order(const struct msg_task_spec *spec, struct order *order)
{
    if (spec->sort < SORT_FIELDS) {
        *order = (struct order){spec->sort, builtin_is_whole_line(spec->command), false, 0, {{0}}};
        return NULL;
    }
    struct sorting sorting;
    if (spec->sort > SORT_FIELDS) return "it wants an unknown order";
    if (sorting_parse(variable(spec, "MR_SORT"), &sorting) != NULL) return "MR_SORT is no order";
    *order = order_of(&sorting);
    return NULL;
}

static const char *read_fields(const struct msg_task_spec *spec, uint32_t *fields)
{
    struct slice text = variable(spec, "MR_PARTITION_FIELDS");
    *fields = text.count == 0 ? 1 : 0;
    for (size_t i = 0; i < text.count && i < 4; i++) {
        if (text.at[i] < '0' || text.at[i] > '9') return "MR_PARTITION_FIELDS is no number";
        *fields = *fields * 10 + (uint32_t)(text.at[i] - '0');
    }
    return *fields == 0 ? "MR_PARTITION_FIELDS is 0" : NULL;
}

const char *shuffle_read(const struct msg_task_spec *spec, struct shuffle *shuffle)
{
    *shuffle = (struct shuffle){0};
    const char *why = read_order(spec, &shuffle->order);
    if (why == NULL) why = read_fields(spec, &shuffle->fields);
    if (why == NULL && spec->partition > PARTITION_SAMPLE) why = "it wants unknown partitions";
    if (why == NULL && spec->partition == PARTITION_COMMAND) {
        shuffle->partitioner = variable(spec, "MR_PARTITIONER");
        if (shuffle->partitioner.count == 0) why = "MR_PARTITIONER is missing";
    }
    return why;
}
