/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Completions for bash, zsh and fish, printed from the tables of options and commands. The build installs them;
 * nobody else has to call this. Sandboxes are those that there are (/run/kata) or could be (/etc/kata/sandboxes).
 */

#include "basic/log.h"
#include "runtime/cli/command.h"

/* What a value is, for the shell. */
static bool is_file(const CliOption *o)
{
        return o->value && (streq(o->value, "FILE") || streq(o->value, "DIR"));
}

static bool is_sandbox(const CliOption *o)
{
        return o->value && streq(o->value, "ID");
}

static void print_words(const char *const *words)
{
        for (size_t i = 0; words[i]; i++)
                printf("%s%s", i > 0 ? " " : "", words[i]);
}

static void print_command_names(void)
{
        bool first = true;

        CLI_COMMAND_FOREACH(c)
                if (!c->hidden) {
                        printf("%s%s", first ? "" : " ", c->name);
                        first = false;
                }
}

/* --- bash --- */

static void bash_option_names(const CliOption *table)
{
        CLI_OPTION_FOREACH(o, table) {
                printf(" --%s", o->name);
                if (o->letter)
                        printf(" -%c", o->letter);
        }
}

/* Cases of "COMMAND OPTION" whose value is to be completed. */
static void bash_values(const char *command, const CliOption *table)
{
        CLI_OPTION_FOREACH(o, table) {
                if (!o->value)
                        continue;
                printf("        '%s --%s'", command, o->name);
                if (o->letter)
                        printf(" | '%s -%c'", command, o->letter);
                printf(") ");
                if (o->choices) {
                        printf("words='");
                        print_words(o->choices);
                        printf("' ;;\n");
                } else
                        printf("words=%s ;;\n", is_file(o)    ? "; COMPREPLY=($(compgen -f -- \"$cur\")); return"
                                                : is_sandbox(o) ? "$(_kata_runtime_sandboxes)"
                                                                : "; return");
        }
}

static int print_bash(void)
{
        printf("# bash completion of kata-runtime\n\n"
               "_kata_runtime() {\n"
               "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
               "    local command='' words='' i\n"
               "    COMPREPLY=()\n"
               "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
               "        case ${COMP_WORDS[i]} in\n"
               "        ");
        CLI_OPTION_FOREACH(o, cli_global_options)
                if (o->value)
                        printf("%s--%s", o == cli_global_options ? "" : " | ", o->name);
        printf(") ((i++)) ;;\n"
               "        -*) ;;\n"
               "        *) command=${COMP_WORDS[i]}; break ;;\n"
               "        esac\n"
               "    done\n"
               "    case \"$command $prev\" in\n");
        bash_values("", cli_global_options);
        CLI_COMMAND_FOREACH(c)
                bash_values(c->name, c->options);
        printf("    esac\n"
               "    if [[ -n $words ]]; then\n"
               "        COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
               "        return\n"
               "    fi\n"
               "    case $command in\n"
               "    '') words='");
        print_command_names();
        bash_option_names(cli_global_options);
        printf("' ;;\n");
        CLI_COMMAND_FOREACH(c) {
                if (c->hidden)
                        continue;
                printf("    %s)\n"
                       "        if [[ $cur == -* ]]; then words='--help -h", c->name);
                bash_option_names(c->options);
                printf("'\n");
                if (c->word == WORD_SANDBOX)
                        printf("        else words=$(_kata_runtime_sandboxes)\n");
                else if (c->word == WORD_CONTAINER)
                        printf("        else words=$(kata-runtime list --quiet 2>/dev/null)\n");
                printf("        fi\n"
                       "        ;;\n");
        }
        printf("    esac\n"
               "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
               "}\n\n"
               "_kata_runtime_sandboxes() {\n"
               "    local f\n"
               "    for f in %s/*/sandbox.state %s/sandboxes/*.conf %s/sandboxes/*.conf; do\n"
               "        [[ -e $f ]] || continue\n"
               "        case $f in\n"
               "        *.conf) f=${f##*/}; echo \"${f%%.conf}\" ;;\n"
               "        *) f=${f%%/*}; echo \"${f##*/}\" ;;\n"
               "        esac\n"
               "    done\n"
               "}\n\n"
               "complete -F _kata_runtime kata-runtime\n", RUNDIR, PKGSYSCONFDIR, RUNDIR);
        return EXIT_SUCCESS;
}

/* --- zsh --- */

/* Inside of '...' and of an optspec, where brackets and colons have a meaning. */
static void zsh_text(const char *text)
{
        for (const char *p = text; *p; p++) {
                if (*p == '\'')
                        printf("'\\''");
                else if (strchr("[]:\\", *p))
                        printf("\\%c", *p);
                else
                        putchar(*p);
        }
}

static void zsh_option(const CliOption *o, const char *form)
{
        printf(" \\\n        '%s%s%s[", o->multiple ? "*" : "", form, o->value ? "=" : "");
        zsh_text(o->help);
        putchar(']');
        if (o->value) {
                printf(":%s:", o->value);
                if (o->choices) {
                        putchar('(');
                        print_words(o->choices);
                        putchar(')');
                } else if (is_file(o))
                        printf("_files");
                else if (is_sandbox(o))
                        printf("_kata_runtime_sandboxes");
        }
        putchar('\'');
}

static void zsh_options(const CliOption *table)
{
        CLI_OPTION_FOREACH(o, table) {
                char form[64];

                snprintf(form, sizeof(form), "--%s", o->name);
                zsh_option(o, form);
                if (o->letter) {
                        /* "-x V", not "-x=V" */
                        snprintf(form, sizeof(form), "-%c%s", o->letter, o->value ? "+" : "");
                        printf(" \\\n        '%s%s[", o->multiple ? "*" : "", form);
                        zsh_text(o->help);
                        printf(o->value ? "]:%s:'" : "]'", strempty(o->value));
                }
        }
}

static int print_zsh(void)
{
        printf("#compdef kata-runtime\n\n"
               "_kata_runtime_sandboxes() {\n"
               "    local -a ids\n"
               "    ids=(%s/*/sandbox.state(N:h:t) %s/sandboxes/*.conf(N:t:r) %s/sandboxes/*.conf(N:t:r))\n"
               "    compadd -a ids\n"
               "}\n\n"
               "_kata_runtime_commands() {\n"
               "    local -a commands\n"
               "    commands=(", RUNDIR, PKGSYSCONFDIR, RUNDIR);
        CLI_COMMAND_FOREACH(c) {
                if (c->hidden)
                        continue;
                printf("\n        '%s:", c->name);
                zsh_text(c->summary);
                putchar('\'');
        }
        printf("\n    )\n"
               "    _describe command commands\n"
               "}\n\n"
               "_kata_runtime() {\n"
               "    local state line\n"
               "    _arguments -C");
        zsh_options(cli_global_options);
        printf(" \\\n        '1:command:_kata_runtime_commands' '*::arguments:->arguments'\n"
               "    [[ $state == arguments ]] || return\n"
               "    case $line[1] in\n");
        CLI_COMMAND_FOREACH(c) {
                if (c->hidden)
                        continue;
                printf("    %s)\n        _arguments '(-h --help)'{-h,--help}'[Show this help]'", c->name);
                zsh_options(c->options);
                if (c->word == WORD_SANDBOX)
                        printf(" \\\n        '%s:sandbox:_kata_runtime_sandboxes'", c->max_words > 1 ? "*" : "1");
                else if (c->word == WORD_CONTAINER)
                        printf(" \\\n        '1:container:{compadd $(kata-runtime list --quiet 2>/dev/null)}'");
                printf("\n        ;;\n");
        }
        printf("    esac\n"
               "}\n\n"
               "_kata_runtime \"$@\"\n");
        return EXIT_SUCCESS;
}

/* --- fish --- */

static void fish_text(const char *text)
{
        for (const char *p = text; *p; p++) {
                if (strchr("'\\", *p))
                        putchar('\\');
                putchar(*p);
        }
}

static void fish_options(const char *condition, const CliOption *table)
{
        CLI_OPTION_FOREACH(o, table) {
                printf("complete -c kata-runtime -n %s", condition);
                if (o->letter)
                        printf(" -s %c", o->letter);
                printf(" -l %s", o->name);
                if (o->value)
                        printf(is_file(o) ? " -r -F" : " -x");
                if (o->choices) {
                        printf(" -a '");
                        print_words(o->choices);
                        putchar('\'');
                }
                if (is_sandbox(o))
                        printf(" -a '(__kata_runtime_sandboxes)'");
                printf(" -d '");
                fish_text(o->help);
                printf("'\n");
        }
}

static int print_fish(void)
{
        printf("# fish completion of kata-runtime\n\n"
               "function __kata_runtime_sandboxes\n"
               "    for f in %s/*/sandbox.state\n"
               "        basename (dirname $f)\n"
               "    end\n"
               "    for f in %s/sandboxes/*.conf %s/sandboxes/*.conf\n"
               "        basename $f .conf\n"
               "    end\n"
               "end\n\n"
               "complete -c kata-runtime -f\n", RUNDIR, PKGSYSCONFDIR, RUNDIR);
        fish_options("__fish_use_subcommand", cli_global_options);
        CLI_COMMAND_FOREACH(c) {
                char condition[96];

                if (c->hidden)
                        continue;
                printf("complete -c kata-runtime -n __fish_use_subcommand -a %s -d '", c->name);
                fish_text(c->summary);
                printf("'\n");
                snprintf(condition, sizeof(condition), "'__fish_seen_subcommand_from %s'", c->name);
                printf("complete -c kata-runtime -n %s -s h -l help -d 'Show this help'\n", condition);
                fish_options(condition, c->options);
                if (c->word == WORD_SANDBOX)
                        printf("complete -c kata-runtime -n %s -a '(__kata_runtime_sandboxes)'\n", condition);
                else if (c->word == WORD_CONTAINER)
                        printf("complete -c kata-runtime -n %s -a '(kata-runtime list --quiet 2>/dev/null)'\n",
                               condition);
        }
        return EXIT_SUCCESS;
}

int verb_completion(const CliArgs *args)
{
        static const struct {
                const char *shell;
                int (*print)(void);
        } shells[] = { { "bash", print_bash }, { "zsh", print_zsh }, { "fish", print_fish } };

        for (size_t i = 0; i < ELEMENTSOF(shells); i++)
                if (streq(shells[i].shell, args->words[0]))
                        return shells[i].print();

        log_error("completion: bash, zsh or fish, not '%s'", args->words[0]);
        return EXIT_FAILURE;
}
