/* completion: what a shell needs to complete our words, printed from the same tables that read
 * them; so it can't be out of date. Names of jobs and datasets are asked of the flock while one
 * types, with a second's patience. */
#include "ctl/commands.h"

#include "ctl/exits.h"
#include "ctl/notice.h"

#include <stdio.h>
#include <string.h>

static void print_commands(void)
{
    for (const struct command *command = commands_table; command->name != NULL; command++)
        if (command->summary != NULL) printf("%s ", command->name);
}

/* "    run) words='--mapper ...' ;;" for each command. */
static void print_cases(void)
{
    for (const struct command *command = commands_table; command->name != NULL; command++) {
        if (command->summary == NULL) continue;
        printf("    %s) options='", command->name);
        options_names(command, stdout);
        printf("' ;;\n");
    }
}

static const char bash_head[] =
    "# mrctl's words for bash: eval \"$(mrctl completion bash)\"\n"
    "_mrctl() {\n"
    "  local word=${COMP_WORDS[COMP_CWORD]} command= options= i names=\n"
    "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "    case ${COMP_WORDS[i]} in -*) ;; *) command=${COMP_WORDS[i]}; break ;; esac\n"
    "  done\n"
    "  if [ -z \"$command\" ]; then\n"
    "    COMPREPLY=($(compgen -W '";

static const char bash_middle[] = "' -- \"$word\"))\n"
                                  "    return\n"
                                  "  fi\n"
                                  "  case $command in\n";

static const char bash_tail[] =
    "  esac\n"
    "  if [[ $word == -* ]]; then\n"
    "    COMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n"
    "    return\n"
    "  fi\n"
    "  case $command in\n"
    "    status|wait|tasks|logs|explain|kill|resume|joblog)\n"
    "      names=$(mrctl status -o name --timeout 1s 2>/dev/null) ;;\n"
    "    cat|get|rm|ls) names=$(mrctl ls -o name --timeout 1s 2>/dev/null) ;;\n"
    "    drain|undrain|forget|rtt) names=$(mrctl members -o name --timeout 1s 2>/dev/null) ;;\n"
    "    completion) names='bash zsh' ;;\n"
    "    *) COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n"
    "  esac\n"
    "  COMPREPLY=($(compgen -W \"$names\" -- \"$word\"))\n"
    "}\n"
    "complete -o default -F _mrctl mrctl\n";

int mrctl_completion(const struct options *options)
{
    const char *shell = options->arguments.items[0];
    bool is_zsh = strcmp(shell, "zsh") == 0;
    if (!is_zsh && strcmp(shell, "bash") != 0) {
        notice_line("completion takes bash or zsh, not %s", shell);
        return EXIT_USAGE;
    }
    /* zsh runs bash's functions by itself. */
    if (is_zsh)
        puts("# for zsh: eval \"$(mrctl completion zsh)\"\n"
             "autoload -U +X bashcompinit && bashcompinit");
    fputs(bash_head, stdout);
    print_commands();
    fputs(bash_middle, stdout);
    print_cases();
    fputs(bash_tail, stdout);
    return commands_flush();
}
