/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Commands of kata-runtime: one table, from which main(), the help and the completions are made. Each command
 * is one function in a file of its own.
 */

#include "runtime/cli/option.h"

/* What options and words of all commands are read into. Strings are those of argv. */
typedef struct CliArgs {
        /* before the command */
        const char *cgroup_manager, *criu, *log, *log_format, *log_level, *root, *rootless;
        bool debug, systemd_cgroup, version;
        /* each of the two */
        bool help;

        /* of commands */
        const char *bundle, *console_socket, *container, *cwd, *format, *interval, *lines, *output, *pid_file,
                *preserve_fds, *process, *resources, *rounds, *sandbox_id, *since, *until, *user;
        const char *blkio_weight, *cpu_period, *cpu_quota, *cpu_shares, *cpuset_cpus, *cpuset_mems, *memory,
                *memory_reservation, *memory_swap, *pids_limit;
        bool all, detach, follow, force, json, keep, no_new_keyring, no_new_privs, no_pivot, no_subreaper, quiet,
                stats, strict, tty, v6;
        Strv additional_gids, capabilities, components, env;

        char **words;
        size_t n_words;
} CliArgs;

typedef enum CliWord {
        WORD_OTHER,
        WORD_SANDBOX,
        WORD_CONTAINER,
} CliWord;

typedef struct CliCommand {
        const char *name;
        const char *words;              /* "ID", for the help; NULL: none */
        size_t min_words, max_words;
        const CliOption *options;
        bool in_order;                  /* see cli_options_parse() */
        const char *summary;            /* one line */
        /* Returns an exit status; what went wrong has been logged. */
        int (*run)(const CliArgs *args);
        bool hidden;                    /* for the build, not for people */
        CliWord word;                   /* what the first word is, for completions */
} CliCommand;

extern const CliOption cli_global_options[];
extern const CliCommand cli_commands[];         /* the end has no name */

#define CLI_COMMAND_FOREACH(c) for (const CliCommand *c = cli_commands; c->name; c++)

const CliCommand *cli_command_find(const char *name);

void cli_print_help(FILE *f);
void cli_print_command_help(FILE *f, const CliCommand *command);

#define CLI_ARG(field) .offset = offsetof(CliArgs, field)

int verb_check(const CliArgs *args);
int verb_checkpoint(const CliArgs *args);
int verb_completion(const CliArgs *args);
int verb_console(const CliArgs *args);
int verb_create(const CliArgs *args);
int verb_delete(const CliArgs *args);
int verb_env(const CliArgs *args);
int verb_events(const CliArgs *args);
int verb_exec(const CliArgs *args);
int verb_features(const CliArgs *args);
int verb_iptables(const CliArgs *args);
int verb_kill(const CliArgs *args);
int verb_list(const CliArgs *args);
int verb_logs(const CliArgs *args);
int verb_metrics(const CliArgs *args);
int verb_pause(const CliArgs *args);
int verb_ps(const CliArgs *args);
int verb_resume(const CliArgs *args);
int verb_run(const CliArgs *args);
int verb_spec(const CliArgs *args);
int verb_start(const CliArgs *args);
int verb_state(const CliArgs *args);
int verb_top(const CliArgs *args);
int verb_update(const CliArgs *args);

extern const CliOption check_options[], create_options[], delete_options[], env_options[],
        events_options[], exec_options[], iptables_options[], kill_options[], list_options[], logs_options[],
        ps_options[], run_options[], spec_options[], top_options[], update_options[];
