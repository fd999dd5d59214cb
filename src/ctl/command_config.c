/* config: what holds for mrctl here, and where it comes from. init: the first steps on a machine.
 */
#include "ctl/commands.h"

#include "ctl/config.h"
#include "ctl/exits.h"
#include "ctl/json.h"
#include "ctl/keys.h"
#include "ctl/notice.h"
#include "ctl/table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- config ---- */

struct showing {
    const struct options *options;
    struct json json;
    struct table table;
};

static void show(void *context, const char *name, const char *value, const char *origin)
{
    struct showing *showing = context;
    if (showing->options->output == OUTPUT_JSON) {
        json_open(&showing->json, '{');
        json_field_text(&showing->json, "name", name);
        json_field_text(&showing->json, "value", value);
        json_field_text(&showing->json, "origin", origin);
        json_close(&showing->json, '}');
        return;
    }
    table_cell(&showing->table, "%s", name);
    table_cell(&showing->table, "%s", value);
    if (showing->options->is_origin) table_cell(&showing->table, "%s", origin);
}

int mrctl_config(const struct options *options)
{
    static const char *const header[] = {"NAME", "VALUE", NULL};
    static const char *const wide[] = {"NAME", "VALUE", "FROM", NULL};
    struct showing showing = {.options = options};
    table_init(&showing.table, options->is_origin ? wide : header);
    json_begin(&showing.json, stdout);
    if (options->output == OUTPUT_JSON) json_open(&showing.json, '[');
    options_each_habit(options, &showing, show);
    if (options->output == OUTPUT_JSON) {
        json_close(&showing.json, ']');
        json_end(&showing.json);
    } else {
        table_print(&showing.table, stdout);
    }
    table_deinit(&showing.table);
    return commands_flush();
}

/* ---- init ---- */

static const char template[] =
    "# Murmuration. Flags go before MR_* variables, those before ./mr.conf, that before this file, "
    "and\n"
    "# this before /etc/mr/mr.conf. Names are the long options, without --.\n"
    "\n"
    "[mrnode]\n"
    "# Other machines are heard only when it listens to more than this one:\n"
    "# listen = 0.0.0.0\n"
    "# join = HOST:7437\n"
    "# slots = auto\n"
    "# mem = 8G\n"
    "# tag = rack=a1\n"
    "\n"
    "[mrctl]\n"
    "# node = 127.0.0.1:7437\n"
    "# replicas = 3\n"
    "# retries = 4\n";

/* Never over one that is there. EXIT_OK, and *is_new; EXIT_JOB_FAILED (said). */
static int write_template(const char *path, bool *is_new)
{
    *is_new = false;
    if (!keys_make_parents(path)) {
        notice_line("%s: %s", path, strerror(errno));
        return EXIT_JOB_FAILED;
    }
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0 && errno == EEXIST) return EXIT_OK;
    size_t size = sizeof template - 1;
    bool is_good = file >= 0 && write(file, template, size) == (ssize_t)size && fsync(file) == 0;
    int error = errno;
    if (file >= 0) close(file);
    *is_new = is_good;
    if (is_good) return EXIT_OK;
    notice_line("%s: %s", path, strerror(error));
    return EXIT_JOB_FAILED;
}

int mrctl_init(const struct options *options)
{
    const char *home = getenv("HOME");
    char key[KEYS_PATH_SIZE], conf[KEYS_PATH_SIZE];
    if (home == NULL || *home == '\0') {
        notice_line("init needs HOME, for ~/.config/mr");
        return EXIT_USAGE;
    }
    snprintf(conf, sizeof conf, "%.4000s/.config/mr/mr.conf", home);
    snprintf(key, sizeof key, "%.4000s/.config/mr/cluster.key", home);
    if (options->key_file != NULL) snprintf(key, sizeof key, "%.4000s", options->key_file);
    bool has_key = access(key, F_OK) == 0, is_new;
    int code = has_key ? EXIT_OK : keys_generate(key);
    if (code == EXIT_OK) code = write_template(conf, &is_new);
    if (code != EXIT_OK) return code;
    notice_line("the cluster key: %s (%s)", key, has_key ? "it was there" : "new");
    notice_line("the configuration: %s (%s)", conf, is_new ? "new" : "it was there");
    notice_line("next: start a node here:    mrnode &");
    notice_line("      see it:               mrctl members");
    notice_line("      run something:        seq 10 | mrctl run -t 'echo {}'");
    notice_line("      add another machine:  copy the key there, then: mrnode --listen 0.0.0.0 "
                "--join HOST");
    return EXIT_OK;
}
