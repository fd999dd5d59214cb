/* plan: a rehearsal. The same code reads the options, finds the inputs and cuts them as for run and
 * submit (dataset.h), but nothing is sent; where blocks would go follows from their digests and
 * from who lives, as every node reckons it (rendezvous order, tasks/placement.h). What would be in
 * the way is told as what is missing, all of it at once. */
#include "ctl/commands.h"

#include "base/hash.h"
#include "base/plural.h"
#include "ctl/chain.h"
#include "ctl/dataset.h"
#include "ctl/exits.h"
#include "ctl/job_spec.h"
#include "ctl/json.h"
#include "ctl/notice.h"
#include "ctl/quantity.h"
#include "ctl/roster.h"
#include "ctl/table.h"
#include "wire/kinds.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum {
    NODES_MAX = 8,    /* of one block: as many copies as anybody may ask for */
    MISSING_MAX = 64, /* lines: more would not be read */
    REPLICAS = 3,     /* when --replicas does not say */
};

/* A split, where it is or would be, and who would run its map first. */
struct planned_split {
    struct msg_manifest_block block;
    size_t input; /* of the names */
    enum input_kind kind;
    uint32_t nodes[NODES_MAX]; /* of the roster */
    size_t nodes_count;
};

/* What a node has to do with it all. */
struct planned_node {
    uint64_t blocks, size; /* that it holds or would hold */
    uint64_t maps;         /* that it would run first */
};

struct plan {
    const struct options *options;
    struct session *session;
    struct roster roster;
    struct planned_node *nodes; /* as the roster */
    size_t living;
    struct json json; /* into text: half a document is of no use to anybody */
    FILE *file;
    char *text;
    size_t text_size;
    struct table stages, splits;
    char *missing[MISSING_MAX];
    size_t missing_count;
    int code; /* of what is missing */

    /* the stage at hand */
    const struct chain_step *step;
    struct planned_split *items;
    size_t items_count, items_capacity;
    char **names; /* of inputs */
    size_t names_count;
    const struct input *named; /* the last of them */
    const struct inputs *inputs;
    size_t *copies; /* that blocks of each should have, where it is a dataset */
    uint32_t made;  /* blocks that the stage before makes */
};

/* Something is in the way. code: the exit code that run would have. */
__attribute__((format(printf, 3, 4))) static void miss(struct plan *plan, int code,
                                                       const char *format, ...)
{
    va_list arguments;
    if (plan->code == EXIT_OK) plan->code = code;
    if (plan->missing_count == MISSING_MAX) return;
    va_start(arguments, format);
    if (vasprintf(&plan->missing[plan->missing_count++], format, arguments) < 0) notice_no_memory();
    va_end(arguments);
}

/* ---- where a split goes ---- */

static bool is_living(const struct msg_member_row *row)
{
    return row->claim.state == MEMBER_ALIVE || row->claim.state == MEMBER_SUSPECT;
}

static bool precedes(const struct msg_member_row *a, uint64_t score_a,
                     const struct msg_member_row *b, uint64_t score_b)
{
    if (score_a != score_b) return score_a > score_b;
    return memcmp(&a->claim.node, &b->claim.node, sizeof a->claim.node) < 0;
}

/* The first of the living in the order of this block. */
static void place(struct plan *plan, struct planned_split *split, size_t wanted)
{
    uint64_t scores[NODES_MAX];
    const struct msg_member_row *rows = plan->roster.rows;
    const struct digest *digest = &split->block.block.digest;
    if (wanted > NODES_MAX) wanted = NODES_MAX;
    for (uint32_t i = 0; i < plan->roster.count; i++) {
        if (!is_living(&rows[i])) continue;
        uint64_t score = hash_rendezvous(digest, sizeof *digest, rows[i].claim.node.bytes,
                                         sizeof rows[i].claim.node.bytes);
        size_t at = split->nodes_count;
        while (at > 0 && precedes(&rows[i], score, &rows[split->nodes[at - 1]], scores[at - 1]))
            at--;
        if (at == wanted) continue;
        if (split->nodes_count < wanted) split->nodes_count++;
        for (size_t j = split->nodes_count - 1; j > at; j--) {
            split->nodes[j] = split->nodes[j - 1];
            scores[j] = scores[j - 1];
        }
        split->nodes[at] = i;
        scores[at] = score;
    }
}

/* How many copies each of its blocks should have, and whether all of them have any. Where they are
 * in truth only their nodes know; sooner or later it is where they should be. */
static size_t look_at_dataset(struct plan *plan, const char *name)
{
    struct msg_ask_names ask = {.prefix = slice_of(name, strcspn(name, "@")),
                                .counts_copies = true};
    struct wire_message reply;
    if (session_call(plan->session, &wire_ask_names, &ask, MSG_say_names, &reply) != EXIT_OK)
        return REPLICAS;
    const struct msg_say_names *say = reply.fields;
    const struct msg_name_row *row = say->names.at;
    for (uint32_t i = 0; i < say->names.count; i++, row++) {
        if (!slice_equal(row->name, slice_string(name))) continue;
        if (row->replicas_min == 0)
            miss(plan, EXIT_PARTIAL, "a block of %s is on no living node; see: mrctl ls", name);
        else if (row->replicas_min < row->replicas_wanted && row->replicas_min < plan->living)
            miss(plan, EXIT_OK, "a block of %s has %u of %s", name, row->replicas_min,
                 plural(row->replicas_wanted, "copy").text);
        return row->replicas_wanted;
    }
    return REPLICAS;
}

static void take_split(void *context, const struct dataset_split *from)
{
    struct plan *plan = context;
    if (plan->items_count == plan->items_capacity) {
        plan->items_capacity = plan->items_capacity == 0 ? 64 : 2 * plan->items_capacity;
        plan->items = realloc(plan->items, plan->items_capacity * sizeof *plan->items);
        if (plan->items == NULL) notice_no_memory();
    }
    if (plan->named != from->input) {
        plan->names = realloc(plan->names, (plan->names_count + 1) * sizeof *plan->names);
        if (plan->names == NULL) notice_no_memory();
        plan->names[plan->names_count] = strdup(from->input->name);
        if (plan->names[plan->names_count++] == NULL) notice_no_memory();
        plan->named = from->input;
    }
    struct planned_split *split = &plan->items[plan->items_count++];
    *split = (struct planned_split){
        .block = from->block, .input = plan->names_count - 1, .kind = from->input->kind};
    size_t replicas = plan->step->options->replicas;
    if (split->kind == INPUT_SHARED) return;
    if (split->kind == INPUT_DATASET) replicas = plan->copies[from->input - plan->inputs->items];
    place(plan, split, replicas == 0 ? REPLICAS : replicas);
    for (size_t i = 0; i < split->nodes_count; i++) {
        struct planned_node *node = &plan->nodes[split->nodes[i]];
        node->blocks++;
        node->size += split->block.block.size;
        node->maps += i == 0;
    }
}

/* ---- a stage ---- */

static int by_size(const void *left, const void *right)
{
    const struct planned_split *a = left, *b = right;
    uint64_t size_a = a->block.block.size, size_b = b->block.block.size;
    return size_a < size_b ? -1 : size_a > size_b;
}

/* Sizes of the splits: least, median, largest, sum. */
struct sizes {
    uint64_t least, median, largest, sum;
};

static struct sizes sizes_of(const struct plan *plan)
{
    struct sizes sizes = {0};
    if (plan->items_count == 0) return sizes;
    struct planned_split *sorted = malloc(plan->items_count * sizeof *sorted);
    if (sorted == NULL) notice_no_memory();
    memcpy(sorted, plan->items, plan->items_count * sizeof *sorted);
    qsort(sorted, plan->items_count, sizeof *sorted, by_size);
    sizes.least = sorted[0].block.block.size;
    sizes.median = sorted[plan->items_count / 2].block.block.size;
    sizes.largest = sorted[plan->items_count - 1].block.block.size;
    for (size_t i = 0; i < plan->items_count; i++) sizes.sum += sorted[i].block.block.size;
    free(sorted);
    return sizes;
}

static void json_split(struct plan *plan, size_t index)
{
    const struct planned_split *split = &plan->items[index];
    struct json *json = &plan->json;
    json_open(json, '{');
    json_field_number(json, "index", index);
    json_field_text(json, "input", plan->names[split->input]);
    json_field_text(json, "kind",
                    split->kind == INPUT_SHARED    ? "path"
                    : split->kind == INPUT_DATASET ? "data"
                                                   : "file");
    json_field_number(json, "offset", split->block.offset);
    json_field_number(json, "size", split->block.block.size);
    json_key(json, "nodes");
    json_open(json, '[');
    for (size_t i = 0; i < split->nodes_count; i++)
        json_bytes(json, plan->roster.rows[split->nodes[i]].claim.name);
    json_close(json, ']');
    json_close(json, '}');
}

static void json_stage(struct plan *plan, const struct msg_job_spec *spec)
{
    struct json *json = &plan->json;
    struct sizes sizes = sizes_of(plan);
    json_open(json, '{');
    json_field_text(json, "stage", plan->step->name);
    json_field_number(json, "times", plan->step->times);
    json_field_bytes(json, "mapper", spec->mapper);
    json_field_bytes(json, "combiner", spec->combiner);
    json_field_bytes(json, "reducer", spec->reducer);
    json_field_number(json, "maps", spec->maps);
    json_field_number(json, "reduces", spec->reduces);
    json_field_text(json, "output", plan->step->output == NULL ? "" : plan->step->output);
    json_field_number(json, "size", sizes.sum);
    json_field_number(json, "split_min", sizes.least);
    json_field_number(json, "split_median", sizes.median);
    json_field_number(json, "split_max", sizes.largest);
    json_key(json, "splits");
    json_open(json, '[');
    for (size_t i = 0; i < plan->items_count; i++) json_split(plan, i);
    json_close(json, ']');
    json_close(json, '}');
}

static void table_stage(struct plan *plan, const struct msg_job_spec *spec)
{
    char text[4][QUANTITY_TEXT_SIZE];
    struct sizes sizes = sizes_of(plan);
    struct table *table = &plan->stages;
    table_cell(table, "%s", plan->step->name);
    table_cell(table, plan->step->times > 1 ? "<=%u" : "%u", plan->step->times);
    table_cell(table, "%.*s", spec->mapper.count > 30 ? 30 : (int)spec->mapper.count,
               (const char *)spec->mapper.at);
    table_cell(table, "%.*s", spec->reducer.count > 30 ? 30 : (int)spec->reducer.count,
               (const char *)spec->reducer.at);
    table_cell(table, "%u", spec->maps);
    table_cell(table, "%u", spec->reduces);
    bool is_known = plan->step->is_first;
    table_cell(table, "%s", is_known ? quantity_size_text(sizes.sum, text[0]) : "");
    if (is_known)
        table_cell(table, "%s/%s/%s", quantity_size_text(sizes.least, text[1]),
                   quantity_size_text(sizes.median, text[2]),
                   quantity_size_text(sizes.largest, text[3]));
    else table_cell(table, "%s", "");
    table_cell(table, "%s", plan->step->output == NULL ? "" : plan->step->output);
}

static void table_split(struct plan *plan, size_t index)
{
    const struct planned_split *split = &plan->items[index];
    char size[QUANTITY_TEXT_SIZE], nodes[256] = "";
    size_t used = 0;
    for (size_t i = 0; i < split->nodes_count && used < sizeof nodes; i++) {
        struct slice name = plan->roster.rows[split->nodes[i]].claim.name;
        used += (size_t)snprintf(nodes + used, sizeof nodes - used, "%s%.*s", i > 0 ? "," : "",
                                 (int)name.count, (const char *)name.at);
    }
    table_cell(&plan->splits, "m%zu", index);
    table_cell(&plan->splits, "%s", plan->names[split->input]);
    table_cell(&plan->splits, "%llu", (unsigned long long)split->block.offset);
    table_cell(&plan->splits, "%s", quantity_size_text(split->block.block.size, size));
    table_cell(&plan->splits, "%s", split->kind == INPUT_SHARED ? "any (shared)" : nodes);
}

/* -i and the words behind the options. */
static int open_inputs(const struct options *options, struct inputs *inputs)
{
    size_t count = options->inputs.count + options->arguments.count;
    const char **words = calloc(count + 1, sizeof *words);
    if (words == NULL) notice_no_memory();
    for (size_t i = 0; i < count; i++)
        words[i] = i < options->inputs.count ? options->inputs.items[i]
                                             : options->arguments.items[i - options->inputs.count];
    const struct words all = {words, count};
    int code = inputs_open(inputs, &all, !options->is_no_input);
    free(words);
    return code;
}

/* The first stage's input is cut; a later one's is what the stage before makes. */
static int cut_input(struct plan *plan, struct job_draft *draft)
{
    const struct options *options = plan->step->options;
    struct inputs inputs = {0};
    struct dataset dataset = {0};
    if (!plan->step->is_first) {
        dataset.blocks_count = plan->made;
        draft->own_files_count = 0;
        job_draft_set_inputs(draft, &dataset);
        return EXIT_OK;
    }
    int code = open_inputs(options, &inputs);
    struct dataset_plan make = {.visit = take_split,
                                .context = plan,
                                .inputs = &inputs,
                                .split_size = options->split_size,
                                .files = &options->files,
                                .records = options->records,
                                .is_shuffled = draft->spec.reduces > 0};
    plan->inputs = &inputs;
    plan->copies = calloc(inputs.count + 1, sizeof *plan->copies);
    if (plan->copies == NULL) notice_no_memory();
    for (size_t i = 0; i < inputs.count; i++)
        if (inputs.items[i].kind == INPUT_DATASET)
            plan->copies[i] = look_at_dataset(plan, inputs.items[i].name);
    if (code == EXIT_OK) code = dataset_make(&dataset, plan->session, &make);
    if (code == EXIT_OK) {
        job_draft_set_inputs(draft, &dataset);
        dataset_deinit(&dataset);
    }
    plan->named = NULL;
    free(plan->copies);
    inputs_deinit(&inputs);
    return code;
}

static void look_for_missing(struct plan *plan)
{
    const struct options *options = plan->step->options;
    struct msg_name_row row;
    size_t replicas = options->replicas == 0 ? REPLICAS : options->replicas;
    const char *output = plan->step->output;
    if (output != NULL && !options->is_overwrite &&
        dataset_find(plan->session, output, &row) == EXIT_OK)
        miss(plan, EXIT_CONFLICT,
             "output %s exists: remove it (mrctl rm), use --overwrite or another -O", output);
    if (plan->step->is_first && plan->living < replicas)
        miss(plan, EXIT_OK, "%s %s: blocks are on %zu instead of %zu",
             plural(plan->living, "node").text, plan->living == 1 ? "lives" : "live", plan->living,
             replicas);
}

static int plan_stage(void *context, const struct chain_step *step)
{
    struct plan *plan = context;
    struct job_draft *draft = malloc(sizeof *draft);
    if (draft == NULL) notice_no_memory();
    plan->step = step;
    plan->items_count = 0;
    int code = job_draft_init(draft, step->options);
    if (code == EXIT_OK) code = cut_input(plan, draft);
    if (code == EXIT_OK) {
        look_for_missing(plan);
        if (plan->options->output == OUTPUT_JSON) json_stage(plan, &draft->spec);
        else table_stage(plan, &draft->spec);
        for (size_t i = 0; i < plan->items_count && plan->options->output == OUTPUT_WIDE; i++)
            table_split(plan, i);
        plan->made = draft->spec.reduces > 0 ? draft->spec.reduces : draft->spec.maps;
    }
    free(draft);
    return code;
}

/* ---- the whole ---- */

static void json_nodes(struct plan *plan)
{
    struct json *json = &plan->json;
    json_key(json, "nodes");
    json_open(json, '[');
    for (size_t i = 0; i < plan->roster.count; i++) {
        const struct msg_member_row *row = &plan->roster.rows[i];
        if (!is_living(row)) continue;
        json_open(json, '{');
        json_field_bytes(json, "name", row->claim.name);
        json_field_number(json, "slots", row->claim.slots);
        json_field_number(json, "blocks", plan->nodes[i].blocks);
        json_field_number(json, "size", plan->nodes[i].size);
        json_field_number(json, "maps_first", plan->nodes[i].maps);
        json_close(json, '}');
    }
    json_close(json, ']');
    json_key(json, "missing");
    json_open(json, '[');
    for (size_t i = 0; i < plan->missing_count; i++)
        json_bytes(json, slice_string(plan->missing[i]));
    json_close(json, ']');
}

static void print_nodes(const struct plan *plan)
{
    static const char *const header[] = {"NODE", ">SLOTS", ">BLOCKS", ">SIZE", ">MAPS-FIRST", NULL};
    struct table table;
    char size[QUANTITY_TEXT_SIZE];
    table_init(&table, header);
    for (size_t i = 0; i < plan->roster.count; i++) {
        const struct msg_member_row *row = &plan->roster.rows[i];
        if (!is_living(row)) continue;
        table_bytes(&table, row->claim.name);
        table_cell(&table, "%u", row->claim.slots);
        table_cell(&table, "%llu", (unsigned long long)plan->nodes[i].blocks);
        table_cell(&table, "%s", quantity_size_text(plan->nodes[i].size, size));
        table_cell(&table, "%llu", (unsigned long long)plan->nodes[i].maps);
    }
    printf("\n");
    table_print(&table, stdout);
    table_deinit(&table);
}

static void print_plan(struct plan *plan)
{
    if (plan->options->output == OUTPUT_JSON) {
        json_close(&plan->json, ']');
        json_nodes(plan);
        json_close(&plan->json, '}');
        json_end(&plan->json);
        fflush(plan->file);
        fwrite(plan->text, 1, plan->text_size, stdout);
        return;
    }
    table_print(&plan->stages, stdout);
    if (plan->options->output == OUTPUT_WIDE) {
        printf("\n");
        table_print(&plan->splits, stdout);
    }
    print_nodes(plan);
    if (plan->missing_count > 0) printf("\n");
    for (size_t i = 0; i < plan->missing_count; i++) printf("missing: %s\n", plan->missing[i]);
}

static void plan_begin(struct plan *plan)
{
    static const char *const stages[] = {"STAGE",  ">TIMES",   "MAPPER", "REDUCER",
                                         ">MAPS",  ">REDUCES", ">SIZE",  "SPLITS-MIN/MEDIAN/MAX",
                                         "OUTPUT", NULL};
    static const char *const splits[] = {"SPLIT", "INPUT", ">OFFSET", ">SIZE", "NODES", NULL};
    plan->nodes = calloc(plan->roster.count + 1, sizeof *plan->nodes);
    if (plan->nodes == NULL) notice_no_memory();
    for (size_t i = 0; i < plan->roster.count; i++)
        plan->living += is_living(&plan->roster.rows[i]);
    table_init(&plan->stages, stages);
    table_init(&plan->splits, splits);
    plan->file = open_memstream(&plan->text, &plan->text_size);
    if (plan->file == NULL) notice_no_memory();
    json_begin(&plan->json, plan->file);
    if (plan->options->output != OUTPUT_JSON) return;
    json_open(&plan->json, '{');
    json_key(&plan->json, "stages");
    json_open(&plan->json, '[');
}

static void plan_deinit(struct plan *plan)
{
    for (size_t i = 0; i < plan->missing_count; i++) free(plan->missing[i]);
    for (size_t i = 0; i < plan->names_count; i++) free(plan->names[i]);
    free(plan->names);
    free(plan->items);
    free(plan->nodes);
    fclose(plan->file);
    free(plan->text);
    table_deinit(&plan->stages);
    table_deinit(&plan->splits);
}

/* The stages: of a spec file, or the one job that the options say. */
static int plan_stages(struct plan *plan, const struct options *options)
{
    if (options->spec != NULL) return chain_visit(options, plan, plan_stage);
    struct chain_step step = {.name = "job",
                              .options = options,
                              .times = 1,
                              .output = options->output_name,
                              .is_first = true};
    return plan_stage(plan, &step);
}

int mrctl_plan(const struct options *given)
{
    struct options options = *given;
    struct plan plan = {.options = &options};
    if (options.task != NULL || options.is_retry_failed) {
        notice_line("plan shows jobs (-m) and chains (a spec file), not bags of tasks (-t)");
        return EXIT_USAGE;
    }
    if (options.mapper == NULL && options.spec == NULL && options.arguments.count == 1) {
        options.spec = options.arguments.items[0];
        options.arguments.count = 0;
    }
    int code = session_open(&plan.session, &options);
    if (code != EXIT_OK) return code;
    code = roster_init(&plan.roster, plan.session);
    if (code == EXIT_OK) {
        plan_begin(&plan);
        code = plan_stages(&plan, &options);
        if (code == EXIT_OK) print_plan(&plan);
        plan_deinit(&plan);
    }
    roster_deinit(&plan.roster);
    session_close(plan.session);
    if (code == EXIT_OK) code = commands_flush();
    return code == EXIT_OK ? plan.code : code;
}
