/* mrnode's options (options.h): one table, from which getopt and the suggestions are made. A wrong
 * one gets one line that says what is wrong and what to type instead. */
#include "io/options.h"

#include "io/resolve.h"

#include <ctype.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "Examples:\n"
    "mrnode                                          one node on this machine, for trying out\n"
    "mrnode --listen 0.0.0.0:7437                    the first machine of a flock (needs a cluster "
    "key)\n"
    "mrnode --listen 0.0.0.0:7437 --join alpha:7437  another one; any member will do to join\n"
    "mrnode -d /var/lib/mr --name beta --slots 4     another directory, name and number of tasks "
    "at once\n"
    "mrnode --check                                  could it start with these options?\n"
    "\n"
    "  -d, --dir DIR               data directory (~/.local/share/mr)\n"
    "      --listen ADDR[:PORT]    where to listen, UDP and TCP (127.0.0.1:7437); port 0: any\n"
    "      --advertise ADDR[:PORT] how others reach this node, when not as it listens\n"
    "      --join HOST[:PORT]      a member to join through, repeatable; -: those of last time "
    "only\n"
    "      --name NAME             for people (the host's name)\n"
    "      --slots N|auto          tasks at once (auto: one per processor)\n"
    "      --mem SIZE              memory for tasks of jobs that say what they need (run --mem),\n"
    "                              as 512M or 2G (three quarters of the machine's); and, when\n"
    "                              given, for the node's own state (1G)\n"
    "      --key-file FILE         the cluster key (~/.config/mr/cluster.key, MR_KEY_FILE)\n"
    "      --scrub DUR             a walk that reads all blocks takes so long, as 12h or 7d (24h)\n"
    "      --pin DUR               a block that was uploaded or promised stays so long for what\n"
    "                              will want it (1h)\n"
    "      --keep DUR              an ended job's tasks, their logs, and the input of a failed or\n"
    "                              killed one stay so long (10m)\n"
    "      --evict-after DUR       a member that is dead for so long is given up when most of the\n"
    "                              flock see it so, and returns as a newcomer (24h)\n"
    "      --prefetch SIZE         of map outputs are fetched ahead for reduces to come; 0: none "
    "(1G)\n"
    "      --http off              no HTTP in this version\n"
    "      --profile local|lan|wan how fast failures are looked for (lan)\n"
    "      --tag KEY=VALUE         shown with this member (mrctl members -o wide); repeatable\n"
    "      --confine auto|strict|off  tasks open their own directory and the system, as far as "
    "the\n"
    "                              kernel can (auto), or it does not start (strict), or what the\n"
    "                              user may (off)\n"
    "      --task-user auto|own|NAME  whom tasks run as when this runs as root (auto: a user of "
    "its own\n"
    "                              for each)\n"
    "      --task-read PATH        tasks may read this, too; repeatable\n"
    "      --task-write PATH       tasks may write this, too; repeatable\n"
    "      --log-level LEVEL       debug, info, warn or error (info)\n"
    "      --log-format FORMAT     logfmt or json (logfmt)\n"
    "      --check                 check options, key, directory and port; then exit\n"
    "      --check-store DIR       verify every byte of a stopped node's log; then exit\n"
    "  -q, -v                      --log-level warn, --log-level debug\n"
    "  -h, --help                  this text\n"
    "      --version               the version\n"
    "\n"
    "One line 'ready name=... id=... listen=...' on stdout when it serves; the log is on stderr.\n"
    "SIGTERM leaves in order, a second one at once. kill -9 is a supported way to stop, too.\n";

enum {
    OPTION_LISTEN = 256,
    OPTION_ADVERTISE,
    OPTION_JOIN,
    OPTION_NAME,
    OPTION_SLOTS,
    OPTION_MEM,
    OPTION_KEY_FILE,
    OPTION_SCRUB,
    OPTION_KEEP,
    OPTION_PIN,
    OPTION_EVICT_AFTER,
    OPTION_PREFETCH,
    OPTION_HTTP,
    OPTION_PROFILE,
    OPTION_TAG,
    OPTION_CONFINE,
    OPTION_TASK_USER,
    OPTION_TASK_READ,
    OPTION_TASK_WRITE,
    OPTION_LOG_LEVEL,
    OPTION_LOG_FORMAT,
    OPTION_CHECK,
    OPTION_CHECK_STORE,
    OPTION_VERSION,
};

static const struct option table[] = {
    {"dir", required_argument, NULL, 'd'},
    {"listen", required_argument, NULL, OPTION_LISTEN},
    {"advertise", required_argument, NULL, OPTION_ADVERTISE},
    {"join", required_argument, NULL, OPTION_JOIN},
    {"name", required_argument, NULL, OPTION_NAME},
    {"slots", required_argument, NULL, OPTION_SLOTS},
    {"mem", required_argument, NULL, OPTION_MEM},
    {"key-file", required_argument, NULL, OPTION_KEY_FILE},
    {"scrub", required_argument, NULL, OPTION_SCRUB},
    {"keep", required_argument, NULL, OPTION_KEEP},
    {"pin", required_argument, NULL, OPTION_PIN},
    {"evict-after", required_argument, NULL, OPTION_EVICT_AFTER},
    {"prefetch", required_argument, NULL, OPTION_PREFETCH},
    {"http", required_argument, NULL, OPTION_HTTP},
    {"profile", required_argument, NULL, OPTION_PROFILE},
    {"tag", required_argument, NULL, OPTION_TAG},
    {"confine", required_argument, NULL, OPTION_CONFINE},
    {"task-user", required_argument, NULL, OPTION_TASK_USER},
    {"task-read", required_argument, NULL, OPTION_TASK_READ},
    {"task-write", required_argument, NULL, OPTION_TASK_WRITE},
    {"log-level", required_argument, NULL, OPTION_LOG_LEVEL},
    {"log-format", required_argument, NULL, OPTION_LOG_FORMAT},
    {"check", no_argument, NULL, OPTION_CHECK},
    {"check-store", required_argument, NULL, OPTION_CHECK_STORE},
    {"quiet", no_argument, NULL, 'q'},
    {"verbose", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, OPTION_VERSION},
    {0},
};

static enum options_verdict wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));

static enum options_verdict wrong(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("mrnode: ", stderr);
    vfprintf(stderr, format, arguments);
    fputs("\n", stderr);
    va_end(arguments);
    return OPTIONS_WRONG;
}

/* ---- suggestions ---- */

/* Levenshtein's distance of words shorter than 32; 99 for longer ones. */
static unsigned distance(const char *a, const char *b)
{
    enum {
        WORD_MAX = 32
    };
    unsigned row[WORD_MAX + 1];
    size_t a_size = strlen(a), b_size = strlen(b);
    if (a_size > WORD_MAX || b_size > WORD_MAX) return 99;
    for (unsigned j = 0; j <= b_size; j++) row[j] = j;
    for (unsigned i = 1; i <= a_size; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= b_size; j++) {
            unsigned best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[b_size];
}

static const char *nearest(const char *word)
{
    enum {
        DISTANCE_MAX = 3
    }; /* two typos and a letter too few */
    const char *best = NULL;
    unsigned best_distance = DISTANCE_MAX + 1;
    for (const struct option *option = table; option->name != NULL; option++) {
        unsigned one = distance(word, option->name);
        if (one >= best_distance) continue;
        best = option->name;
        best_distance = one;
    }
    return best;
}

static enum options_verdict unknown(const char *argument)
{
    char word[64];
    if (argument[0] != '-' || argument[1] != '-')
        return wrong("unknown option %.40s (mrnode --help shows all)", argument);
    snprintf(word, sizeof word, "%s", argument + 2);
    word[strcspn(word, "=")] = '\0';
    const char *name = nearest(word);
    if (name != NULL) return wrong("unknown option --%s; did you mean --%s?", word, name);
    return wrong("unknown option --%s (mrnode --help shows all)", word);
}

/* ---- values ---- */

/* ADDR, ADDR:PORT, [V6] or [V6]:PORT. */
static bool parse_address(const char *text, struct address *address)
{
    char whole[ADDRESS_TEXT_SIZE + 16];
    if (address_parse(text, address)) return true;
    int size = snprintf(whole, sizeof whole, "%s:%d", text, RESOLVE_PORT);
    return size < (int)sizeof whole && address_parse(whole, address);
}

/* A whole number with K, M, G or T behind it. */
static bool parse_size(const char *text, uint64_t *size)
{
    static const char suffixes[] = "KMGT";
    char *rest;
    if (!isdigit((unsigned char)*text)) return false;
    unsigned long long value = strtoull(text, &rest, 10);
    const char *suffix = *rest == '\0' ? NULL : strchr(suffixes, toupper((unsigned char)*rest));
    if (*rest != '\0' && suffix == NULL) return false;
    unsigned shift = suffix == NULL ? 0 : 10 * (unsigned)(suffix - suffixes + 1);
    if (suffix != NULL) rest++;
    if (*rest == 'i') rest++;
    if (*rest == 'B') rest++;
    *size = value << shift;
    return *rest == '\0' && value > 0 && *size >> shift == value;
}

static enum options_verdict set_listen(struct options *options, const char *value)
{
    if (parse_address(value, &options->listen)) return OPTIONS_RUN;
    return wrong("--listen %.60s is not an address like 0.0.0.0:7437 or [::]:7437", value);
}

static enum options_verdict set_advertise(struct options *options, const char *value)
{
    if (parse_address(value, &options->advertise) && !address_is_none(&options->advertise))
        return OPTIONS_RUN;
    return wrong("--advertise %.60s is not an address like 192.0.2.7:7437", value);
}

static enum options_verdict add_join(struct options *options, const char *value)
{
    char host[256];
    uint16_t port;
    if (strcmp(value, "-") == 0) return OPTIONS_RUN;
    if (!resolve_split(value, host, &port))
        return wrong("--join %.60s is not HOST or HOST:PORT", value);
    if (options->joins_count == OPTIONS_JOINS_MAX)
        return wrong("--join: at most %d; a few members are enough to find all", OPTIONS_JOINS_MAX);
    options->joins[options->joins_count++] = value;
    return OPTIONS_RUN;
}

static enum options_verdict set_name(struct options *options, const char *value)
{
    bool is_good = *value != '\0' && strlen(value) <= 64;
    for (const char *at = value; *at != '\0'; at++)
        if (!isalnum((unsigned char)*at) && strchr("-_.", *at) == NULL) is_good = false;
    options->name = value;
    return is_good ? OPTIONS_RUN : wrong("--name takes 1 to 64 letters, digits, '-', '_' and '.'");
}

static enum options_verdict set_slots(struct options *options, const char *value)
{
    char *rest;
    unsigned long number = strtoul(value, &rest, 10);
    bool is_number = isdigit((unsigned char)*value) && *rest == '\0';
    options->slots = 0;
    if (strcmp(value, "auto") == 0) return OPTIONS_RUN;
    if (!is_number || number == 0 || number > OPTIONS_SLOTS_MAX)
        return wrong("--slots %.20s: a number from 1 to %d, or auto", value, OPTIONS_SLOTS_MAX);
    options->slots = (uint16_t)number;
    return OPTIONS_RUN;
}

static enum options_verdict set_prefetch(struct options *options, const char *value)
{
    options->prefetch_size = 0;
    if (strcmp(value, "0") == 0 || parse_size(value, &options->prefetch_size)) return OPTIONS_RUN;
    return wrong("--prefetch %.20s: a size like 512M or 2G, or 0", value);
}

static enum options_verdict set_memory(struct options *options, const char *value)
{
    enum {
        MEMORY_MIN = 16 << 20
    }; /* less than the empty node and a large message need */
    if (parse_size(value, &options->memory_size) && options->memory_size >= MEMORY_MIN)
        return OPTIONS_RUN;
    return wrong("--mem %.20s: a size of at least 16M, like 512M or 2G", value);
}

static enum options_verdict set_profile(struct options *options, const char *value)
{
    static const char *const names[] = {"local", "lan", "wan"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(value, names[i]) == 0) {
            options->profile = (enum node_profile)i;
            return OPTIONS_RUN;
        }
    return wrong("--profile %.20s: one of local, lan, wan", value);
}

static enum options_verdict set_level(struct options *options, const char *value)
{
    if (logfmt_level(value, &options->level)) return OPTIONS_RUN;
    return wrong("--log-level %.20s: one of debug, info, warn, error", value);
}

static enum options_verdict set_format(struct options *options, const char *value)
{
    bool is_json = strcmp(value, "json") == 0;
    options->format = is_json ? LOGFMT_JSON : LOGFMT_TEXT;
    if (is_json || strcmp(value, "logfmt") == 0) return OPTIONS_RUN;
    return wrong("--log-format %.20s: one of logfmt, json", value);
}

enum {
    DURATION_COUNT_MAX = 100000
}; /* of days: 270 years */

static enum options_verdict take_duration(const char *option, const char *value, duration *taken)
{
    static const struct {
        const char *unit;
        duration length;
    } units[] = {{"s", SECOND},
                 {"m", 60 * SECOND},
                 {"h", 3600 * (duration)SECOND},
                 {"d", 24 * 3600 * (duration)SECOND}};
    char *end;
    unsigned long count = *value >= '0' && *value <= '9' ? strtoul(value, &end, 10) : 0;
    for (size_t i = 0; count > 0 && count <= DURATION_COUNT_MAX && i < 4; i++) {
        if (strcmp(end, units[i].unit) != 0) continue;
        *taken = (duration)count * units[i].length;
        return OPTIONS_RUN;
    }
    return wrong("%s takes a duration as 90s, 12h or 7d, not %.60s", option, value);
}

static enum options_verdict check_http(const char *value)
{
    if (strcmp(value, "off") == 0) return OPTIONS_RUN;
    return wrong("--http %.60s: not in this version; leave it out or say --http off", value);
}

/* Sorted by key, as they are told. */
static enum options_verdict add_tag(struct options *options, const char *value)
{
    const char *equals = strchr(value, '=');
    size_t key_size = equals == NULL ? 0 : (size_t)(equals - value);
    bool is_good = key_size >= 1 && key_size <= OPTIONS_TAG_KEY_MAX &&
                   strlen(value) - key_size - 1 <= OPTIONS_TAG_VALUE_MAX;
    for (size_t i = 0; is_good && i < key_size; i++)
        if (!isalnum((unsigned char)value[i]) && strchr("-_.", value[i]) == NULL) is_good = false;
    for (const char *at = equals; is_good && *at != '\0'; at++)
        if (iscntrl((unsigned char)*at)) is_good = false;
    if (!is_good)
        return wrong("--tag %.60s is not KEY=VALUE: a key of up to %d letters, digits, '-', '_' and"
                     " '.', a value of up to %d bytes",
                     value, OPTIONS_TAG_KEY_MAX, OPTIONS_TAG_VALUE_MAX);
    struct msg_tag tag = {.key = slice_of(value, key_size), .value = slice_string(equals + 1)};
    size_t at = 0;
    int order = -1;
    while (at < options->tags_count && (order = slice_compare(options->tags[at].key, tag.key)) < 0)
        at++;
    if (at < options->tags_count && order == 0)
        return wrong("--tag %.*s is given twice", (int)key_size, value);
    if (options->tags_count == OPTIONS_TAGS_MAX)
        return wrong("--tag: at most %d of them", OPTIONS_TAGS_MAX);
    memmove(&options->tags[at + 1], &options->tags[at],
            (options->tags_count - at) * sizeof *options->tags);
    options->tags[at] = tag;
    options->tags_count++;
    return OPTIONS_RUN;
}

static enum options_verdict set_confine(struct options *options, const char *value)
{
    static const char *const modes[] = {"auto", "strict", "off"};
    for (unsigned i = 0; i < sizeof modes / sizeof *modes; i++)
        if (strcmp(value, modes[i]) == 0) {
            options->confinement.mode = modes[i];
            return OPTIONS_RUN;
        }
    return wrong("--confine %.20s: one of auto, strict, off", value);
}

static enum options_verdict set_task_user(struct options *options, const char *value)
{
    if (confinement_set_user(&options->confinement, value)) return OPTIONS_RUN;
    return wrong("--task-user %.40s: auto, own, or a user of this machine other than root", value);
}

static enum options_verdict add_path(struct confinement_paths *paths, const char *option,
                                     const char *value)
{
    if (value[0] != '/') return wrong("%s %.60s: an absolute path is wanted", option, value);
    if (paths->count == CONFINEMENT_PATHS_MAX)
        return wrong("%s: at most %d", option, CONFINEMENT_PATHS_MAX);
    paths->at[paths->count++] = value;
    return OPTIONS_RUN;
}

static enum options_verdict show(const char *text)
{
    bool is_written = fputs(text, stdout) >= 0 && fflush(stdout) == 0;
    return is_written ? OPTIONS_SHOWN : wrong("stdout can't be written");
}

static enum options_verdict take_one(struct options *options, int option)
{
    switch (option) {
    case 'd': options->directory = optarg; return OPTIONS_RUN;
    case 'q': options->level = TRACE_WARN; return OPTIONS_RUN;
    case 'v': options->level = TRACE_DEBUG; return OPTIONS_RUN;
    case 'h': return show(help);
    case OPTION_LISTEN: return set_listen(options, optarg);
    case OPTION_ADVERTISE: return set_advertise(options, optarg);
    case OPTION_JOIN: return add_join(options, optarg);
    case OPTION_NAME: return set_name(options, optarg);
    case OPTION_SLOTS: return set_slots(options, optarg);
    case OPTION_MEM: return set_memory(options, optarg);
    case OPTION_KEY_FILE: options->key_file = optarg; return OPTIONS_RUN;
    case OPTION_KEEP: return take_duration("--keep", optarg, &options->details_kept);
    case OPTION_SCRUB: return take_duration("--scrub", optarg, &options->scrub_every);
    case OPTION_PIN: return take_duration("--pin", optarg, &options->pin_length);
    case OPTION_EVICT_AFTER: return take_duration("--evict-after", optarg, &options->evict_after);
    case OPTION_PREFETCH: return set_prefetch(options, optarg);
    case OPTION_HTTP: return check_http(optarg);
    case OPTION_PROFILE: return set_profile(options, optarg);
    case OPTION_TAG: return add_tag(options, optarg);
    case OPTION_CONFINE: return set_confine(options, optarg);
    case OPTION_TASK_USER: return set_task_user(options, optarg);
    case OPTION_TASK_READ: return add_path(&options->confinement.readable, "--task-read", optarg);
    case OPTION_TASK_WRITE: return add_path(&options->confinement.writable, "--task-write", optarg);
    case OPTION_LOG_LEVEL: return set_level(options, optarg);
    case OPTION_LOG_FORMAT: return set_format(options, optarg);
    case OPTION_CHECK_STORE: options->checked_store = optarg; return OPTIONS_RUN;
    case OPTION_CHECK: options->is_check = true; return OPTIONS_RUN;
    case OPTION_VERSION: return show("mrnode " MR_VERSION "\n");
    }
    return OPTIONS_WRONG;
}

bool options_is_setting(const char *name)
{
    for (const struct option *row = table; row->name != NULL; row++)
        if (strcmp(row->name, name) == 0)
            return row->has_arg == required_argument && row->val != OPTION_CHECK_STORE;
    return false;
}

/* Who is only slow, or restarts, must not be given up. */
static enum options_verdict check_eviction(const struct options *options)
{
    duration least = node_evict_least(options->profile);
    if (options->evict_after == 0 || options->evict_after >= least) return OPTIONS_RUN;
    return wrong("--evict-after: at least %llds with this --profile: twice as long as it may take "
                 "to find that a member is dead",
                 (long long)(least / SECOND));
}

enum options_verdict options_parse(int count, char *arguments[], struct options *options)
{
    *options = (struct options){.profile = PROFILE_LAN, .level = TRACE_INFO};
    options->prefetch_size = OPTIONS_PREFETCH_SIZE;
    options->confinement.mode = "auto";
    options->listen = address_ipv4(127, 0, 0, 1, RESOLVE_PORT);
    options->key_file = getenv("MR_KEY_FILE");
    opterr = 0;
    for (;;) {
        int at = optind, option = getopt_long(count, arguments, "+:d:qvh", table, NULL);
        if (option == -1) break;
        if (option == ':') return wrong("%.40s needs a value (mrnode --help)", arguments[at]);
        if (option == '?') return unknown(arguments[at]);
        enum options_verdict verdict = take_one(options, option);
        if (verdict != OPTIONS_RUN) return verdict;
    }
    if (optind == count) return check_eviction(options);
    return wrong("'%.40s' is not an option; members to join through come after --join",
                 arguments[optind]);
}
