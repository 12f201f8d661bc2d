/* SPDX-License-Identifier: Apache-2.0 */
/* All commands, and the help that is made of them: see command.h. */

#include "runtime/cli/command.h"

#define COLUMN 26

static const char *const log_formats[] = { "text", "json", NULL };
static const char *const cgroup_managers[] = { "systemd", "cgroupfs", "disabled", NULL };
static const char *const rootless_words[] = { "auto", "true", "false", NULL };
static const char *const log_levels[] = { "error", "warning", "info", "debug", NULL };

const CliOption cli_global_options[] = {
        { "root", 0, "DIR", CLI_ARG(root), "Where the state of containers is kept" },
        { "log", 0, "FILE", CLI_ARG(log), "Append errors to FILE as well" },
        { "log-format", 0, "FORMAT", CLI_ARG(log_format), "Form of that file: text or json", log_formats },
        { "log-level", 0, "LEVEL", CLI_ARG(log_level), "Say more or less on standard error: error, warning, "
          "info or debug", log_levels },
        { "debug", 0, NULL, CLI_ARG(debug), "The same as --log-level debug" },
        { "cgroup-manager", 0, "NAME", CLI_ARG(cgroup_manager), "systemd: as --systemd-cgroup",
          cgroup_managers },
        { "systemd-cgroup", 0, NULL, CLI_ARG(systemd_cgroup), "cgroupsPath is SLICE:PREFIX:NAME, where the "
          "machine's scope is to be" },
        { "rootless", 0, "BOOL", CLI_ARG(rootless), "For callers; true is refused", rootless_words },
        { "criu", 0, "FILE", CLI_ARG(criu), "For callers; nothing is checkpointed" },
        { "help", 'h', NULL, CLI_ARG(help), "Show this help" },
        { "version", 'v', NULL, CLI_ARG(version), "Show the version" },
        {}
};

const CliCommand cli_commands[] = {
        { "create", "ID", 1, 1, create_options, .summary = "Make a container from a bundle", .run = verb_create },
        { "run", "ID", 1, 1, run_options, .summary = "Make and start a container", .run = verb_run },
        { "start", "ID", 1, 1, NULL, .word = WORD_CONTAINER, .summary = "Start a container that was made",
          .run = verb_start },
        { "state", "ID", 1, 1, NULL, .word = WORD_CONTAINER, .summary = "Show the state of a container as JSON",
          .run = verb_state },
        { "kill", "ID [SIGNAL]", 1, 2, kill_options, .word = WORD_CONTAINER,
          .summary = "Send a signal to a container, SIGTERM without one", .run = verb_kill },
        { "delete", "ID", 1, 1, delete_options, .word = WORD_CONTAINER,
          .summary = "Remove a container that has stopped", .run = verb_delete },
        { "exec", "ID [PROGRAM...]", 1, 4096, exec_options, .in_order = true, .word = WORD_CONTAINER,
          .summary = "Execute a further program in a container", .run = verb_exec },
        { "list", NULL, 0, 0, list_options, .summary = "List containers", .run = verb_list },
        { "ps", "ID [PS-OPTION...]", 1, 64, ps_options, .in_order = true, .word = WORD_CONTAINER,
          .summary = "List the processes of this host that stand for those of a container", .run = verb_ps },
        { "pause", "ID", 1, 1, NULL, .word = WORD_CONTAINER, .summary = "Freeze a container", .run = verb_pause },
        { "resume", "ID", 1, 1, NULL, .word = WORD_CONTAINER, .summary = "Go on with a frozen container",
          .run = verb_resume },
        { "update", "ID", 1, 1, update_options, .word = WORD_CONTAINER, .summary = "Change limits of a container",
          .run = verb_update },
        { "events", "ID", 1, 1, events_options, .word = WORD_CONTAINER,
          .summary = "Show what a container takes, and when it runs out of memory, as JSON", .run = verb_events },
        { "features", NULL, 0, 0, NULL, .summary = "Show what this runtime can do, as JSON", .run = verb_features },
        { "spec", NULL, 0, 0, spec_options, .summary = "Write an example config.json", .run = verb_spec },

        { "check", NULL, 0, 0, check_options, .summary = "Can this host run sandboxes, and what is to do if not",
          .run = verb_check },
        { "console", "ID", 1, 1, NULL, .word = WORD_SANDBOX,
          .summary = "A shell in the guest of a sandbox with Debug=yes", .run = verb_console },
        { "env", NULL, 0, 0, env_options, .summary = "Show the configuration in effect", .run = verb_env },
        { "iptables", "get|set [FILE]", 1, 2, iptables_options,
          .summary = "Show or replace the packet filter of a guest", .run = verb_iptables },
        { "logs", "ID", 1, 1, logs_options, .word = WORD_SANDBOX,
          .summary = "Show what the journal has of a sandbox", .run = verb_logs },
        { "metrics", NULL, 0, 0, NULL, .summary = "Print numbers of all sandboxes for Prometheus",
          .run = verb_metrics },
        { "top", "[ID...]", 0, 64, top_options, .word = WORD_SANDBOX,
          .summary = "Show what sandboxes take of processor, memory and disks", .run = verb_top },

        { "checkpoint", "ID", 0, 4096, NULL, .in_order = true, .hidden = true, .summary = "Refused",
          .run = verb_checkpoint },
        { "restore", "ID", 0, 4096, NULL, .in_order = true, .hidden = true, .summary = "Refused",
          .run = verb_checkpoint },
        { "completion", "SHELL", 1, 1, NULL, .summary = "Print the completions of bash, zsh or fish",
          .run = verb_completion, .hidden = true },
        {}
};

const CliCommand *cli_command_find(const char *name)
{
        CLI_COMMAND_FOREACH(c)
                if (streq(c->name, name))
                        return c;

        return NULL;
}

static void print_options(FILE *f, const CliOption *table)
{
        CLI_OPTION_FOREACH(o, table) {
                int n = fprintf(f, o->letter ? "  -%c " : "     ", o->letter);

                n += fprintf(f, "--%s%s%s", o->name, o->value ? " " : "", strempty(o->value));
                fprintf(f, "%*s%s\n", n < COLUMN ? COLUMN - n : 2, "", o->help);
        }
}

void cli_print_help(FILE *f)
{
        fputs("kata-runtime [OPTIONS...] COMMAND [...]\n\n"
              "Sandboxes of kata-systemd from the command line.\n\n"
              "Commands:\n", f);
        CLI_COMMAND_FOREACH(c) {
                int n;

                if (c->hidden)
                        continue;
                n = fprintf(f, "  %s%s%s", c->name, c->words ? " " : "", strempty(c->words));
                fprintf(f, "%*s%s\n", n < COLUMN ? COLUMN - n : 2, "", c->summary);
        }
        fputs("\nOptions:\n", f);
        print_options(f, cli_global_options);
        fputs("\nkata-runtime COMMAND --help shows the options of a command. See kata-runtime(1).\n", f);
}

void cli_print_command_help(FILE *f, const CliCommand *command)
{
        fprintf(f, "kata-runtime %s [OPTIONS...]%s%s\n\n%s.\n\nOptions:\n", command->name,
                command->words ? " " : "", strempty(command->words), command->summary);
        print_options(f, command->options);
        fputs("  -h --help               Show this help\n", f);
}
