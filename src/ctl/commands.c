/* The table of commands. What the interface names and this version lacks is in it too (no summary):
 * it answers "not in this version" instead of "unknown", so that a script's author knows which of
 * the two is wrong. */
#include "ctl/commands.h"

#include "ctl/clock.h"
#include "ctl/exits.h"
#include "ctl/notice.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define WORDS_MAX UINT32_MAX /* as many as the system lets through */

const struct command commands_table[] = {
    {"run", "[PATH|NAME...]", GROUP_JOB, 0, WORDS_MAX, "run a job, print its result",
     "  mrctl run -m @wordcount -i book.txt\n"
     "  mrctl run -m 'tr -cs A-Za-z \"\\n\"' -r 'uniq -c' -R 4 logs/*.txt\n"
     "  zcat big.gz | mrctl run -m 'grep -c ERROR'\n"
     "  mrctl run -t 'gzip -9 <{} | wc -c' --tag --joblog log ::: *.txt\n"
     "  seq 100000 | mrctl run -t ./simulate --joblog log --resume\n",
     mrctl_run},
    {"submit", "[PATH|NAME...]", GROUP_JOB, 0, WORDS_MAX, "submit a job, print its name",
     "  mrctl submit -m @sort -i big.txt -O sorted\n"
     "  job=$(mrctl submit -m ./map.py -r ./reduce.py -f map.py -f reduce.py -i data)\n"
     "  mrctl submit -m @wordcount -i book.txt -w && echo done\n",
     mrctl_submit},
    {"plan", "[SPEC|PATH|NAME...]", GROUP_JOB, 0, WORDS_MAX,
     "what run would do: stages, splits, nodes, what is missing; runs nothing",
     "  mrctl plan -m @wordcount -i book.txt\n"
     "  mrctl plan pagerank.ini -i links.tsv\n"
     "  mrctl plan -m cat -i data:logs -o json\n",
     mrctl_plan},
    {"status", "[JOB]", 0, 0, 1, "how jobs stand",
     "  mrctl status\n  mrctl status wc-3f7a -o json\n  mrctl status wc-3f7a -w\n", mrctl_status},
    {"wait", "JOB", 0, 1, 1, "wait for a job's end; the exit code is the job's",
     "  mrctl wait wc-3f7a\n  mrctl wait wc-3f7a --timeout 10m\n", mrctl_wait},
    {"tasks", "JOB|TASK", 0, 1, 1, "attempts of a job's tasks",
     "  mrctl tasks wc-3f7a\n  mrctl tasks wc-3f7a/m12 -o json\n", mrctl_tasks},
    {"logs", "JOB|TASK", GROUP_LOGS, 1, 1, "what tasks wrote to stderr",
     "  mrctl logs wc-3f7a\n  mrctl logs wc-3f7a/m12 --tail 20\n  mrctl logs wc-3f7a -f\n",
     mrctl_logs},
    {"explain", "TASK|JOB", GROUP_EXPLAIN, 1, 1,
     "a task's story: who claimed it, and why again; what a job waits for",
     "  mrctl explain wc-3f7a/m12\n  mrctl explain wc-3f7a --pending\n", mrctl_explain},
    {"log", "", GROUP_LOG, 0, 0, "the replicated log, in its total order",
     "  mrctl log\n  mrctl log --job wc-3f7a\n  mrctl log -f -o json\n", mrctl_log},
    {"events", "", GROUP_LOG, 0, 0, "the log without what tasks say: members, jobs, names",
     "  mrctl events\n  mrctl events -f\n", mrctl_events},
    {"kill", "JOB...", 0, 1, WORDS_MAX, "end jobs now", "  mrctl kill wc-3f7a\n", mrctl_kill},
    {"retry", "TASK...", GROUP_ACK, 1, WORDS_MAX,
     "run tasks again; of an ended job: in a new run that inherits the rest",
     "  mrctl retry wc-3f7a/m12\n  mrctl retry wc-3f7a/r0 -w\n", mrctl_retry},
    {"fail", "TASK...", 0, 1, WORDS_MAX, "fail attempts that run now, as if their programs had",
     "  mrctl fail wc-3f7a/m12\n", mrctl_fail},
    {"resume", "JOB", GROUP_ACK, 1, 1,
     "go on with a failed or killed job: a new run that inherits what is done",
     "  mrctl resume wc-3f7a -w\n  job=$(mrctl resume wc-3f7a)\n", mrctl_resume},
    {"joblog", "JOB", 0, 1, 1, "what became of each command of a bag (run -t)",
     "  mrctl joblog simulate-3f7a >log\n", mrctl_joblog},
    {"report", "JOB", 0, 1, 1,
     "a job's story as one HTML page: a timeline, its tasks, its counters",
     "  mrctl report wc-3f7a >report.html\n", mrctl_report},
    {"members", "", 0, 0, 0, "who is there",
     "  mrctl members\n  mrctl members -w\n  mrctl members -o json\n", mrctl_members},
    {"top", "", 0, 0, 0, "members and running jobs, again and again",
     "  mrctl top\n  mrctl top -o json    once\n", mrctl_top},
    {"drain", "NODE", GROUP_DRAIN, 1, 1, "give a node no new tasks; what runs ends",
     "  mrctl drain beta\n  mrctl drain beta --deadline 5m    then what runs is given back\n",
     mrctl_drain},
    {"undrain", "NODE", 0, 1, 1, "give a drained node tasks again", "  mrctl undrain beta\n",
     mrctl_undrain},
    {"doctor", "", 0, 0, 0, "what is wrong or missing, on each node",
     "  mrctl doctor\n  mrctl doctor -o json\n", mrctl_doctor},
    {"reach", "", 0, 0, 0, "who sees whom, each member asked itself", "  mrctl reach\n",
     mrctl_reach},
    {"rtt", "A B", 0, 2, 2, "the round trip from one member to another, as the first measures it",
     "  mrctl rtt alpha beta\n", mrctl_rtt},
    {"ping", "", 0, 0, 0, "does a peer answer, and how fast",
     "  mrctl ping\n  mrctl ping -n 10.0.0.7:7437\n  mrctl ping -o json    its counters too\n",
     mrctl_ping},
    {"join", "HOST:PORT", 0, 1, 1, "make the peer join a flock through this address",
     "  mrctl join 10.0.0.7:7437\n", mrctl_join},
    {"leave", "", GROUP_LEAVE, 0, 0, "make the peer leave its flock, once others have its blocks",
     "  mrctl leave -n 10.0.0.7:7437\n"
     "  mrctl leave -n 10.0.0.7:7437 --now    with what only it has\n",
     mrctl_leave},
    {"forget", "NODE", 0, 1, 1, "a dead member never comes back",
     "  mrctl forget beta\n  mrctl forget 3f7a91c0\n", mrctl_forget},
    {"put", "PATH NAME", GROUP_PUT, 2, 2, "store a file, a directory or - as a dataset",
     "  mrctl put access.log logs\n  zcat big.gz | mrctl put - big --replicas 2\n", mrctl_put},
    {"get", "NAME PATH", 0, 2, 2, "write a dataset to a file or -",
     "  mrctl get sorted sorted.txt\n  mrctl get sorted - | head\n", mrctl_get},
    {"cat", "NAME...", 0, 1, WORDS_MAX, "print datasets",
     "  mrctl cat sorted\n  mrctl cat sorted | head\n", mrctl_cat},
    {"head", "NAME", GROUP_HEAD, 1, 1, "the first lines of a dataset",
     "  mrctl head sorted\n  mrctl head sorted --lines 100\n", mrctl_head},
    {"du", "[PREFIX]", 0, 0, 1, "bytes of datasets, and of all their copies",
     "  mrctl du\n  mrctl du log -o json\n", mrctl_du},
    {"ls", "[PREFIX]", 0, 0, 1, "datasets and outputs", "  mrctl ls\n  mrctl ls log -o json\n",
     mrctl_ls},
    {"rm", "NAME...", 0, 1, WORDS_MAX, "remove datasets", "  mrctl rm sorted\n", mrctl_rm},
    {"keygen", "[FILE]", 0, 0, 1, "write a new cluster key to stdout or FILE",
     "  mrctl keygen ~/.config/mr/cluster.key\n  mrctl keygen | ssh host 'umask 77; cat > key'\n",
     mrctl_keygen},
    {"keys", "list|rotate|drop FINGERPRINT", 0, 1, 2,
     "fingerprints of the keys in the key file; a new key for the whole flock, without a pause",
     "  mrctl keys list\n  mrctl keys list -o json\n  mrctl keys rotate\n"
     "  mrctl keys drop 3f7a91c0    once all members have the new one\n",
     mrctl_keys},
    {"debug", "", GROUP_DEBUG, 0, 0, "an archive for a report of a bug: what each node says",
     "  mrctl debug >flock.tar\n  mrctl debug -O flock.tar\n", mrctl_debug},
    {"init", "", 0, 0, 0, "first use: a key and a commented mr.conf, and how to go on",
     "  mrctl init\n", mrctl_init},
    {"config", "", GROUP_CONFIG, 0, 0, "what holds for mrctl: flags, MR_*, and the files mr.conf",
     "  mrctl config\n  mrctl config --origin\n  mrctl config -o json\n", mrctl_config},
    {"completion", "bash|zsh", 0, 1, 1, "words for the shell to complete",
     "  mrctl completion bash >/etc/bash_completion.d/mrctl\n"
     "  eval \"$(mrctl completion zsh)\"\n",
     mrctl_completion},
#define ABSENT(name)                                                                               \
    {                                                                                              \
        name, "", 0, 0, 0, NULL, NULL, NULL                                                        \
    }
    ABSENT("invite"),
#undef ABSENT
    {0},
};

int commands_flush(void)
{
    bool is_good = fflush(stdout) == 0 && ferror(stdout) == 0;
    if (is_good || errno == EPIPE) return EXIT_OK;
    notice_line("cannot write the output: %s", strerror(errno));
    return EXIT_JOB_FAILED;
}

int commands_show(const struct options *options,
                  int (*show)(struct session *session, const struct options *options,
                              bool *is_over))
{
    struct session *session;
    bool is_terminal = isatty(STDOUT_FILENO) != 0, is_over = false;
    int code = session_open(&session, options);
    while (code == EXIT_OK) {
        if (options->is_watch && is_terminal && options->output != OUTPUT_JSON)
            fputs("\033[H\033[2J", stdout);
        code = show(session, options, &is_over);
        bool is_written = fflush(stdout) == 0 && ferror(stdout) == 0;
        if (!is_written && code == EXIT_OK) code = commands_flush();
        if (!options->is_watch || is_over || !is_written) break;
        if (clock_now() >= session_connections(session)->deadline) code = EXIT_TIMED_OUT;
        if (code == EXIT_OK) clock_sleep(SECOND);
    }
    session_close(session);
    return code;
}
