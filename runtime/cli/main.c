/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kata-runtime: sandboxes from the command line. Options of the program come before the command, those of the
 * command behind it, as with other OCI runtimes. Runs with the rights of whoever calls it.
 */

#include "basic/log.h"
#include "runtime/cli/command.h"
#include "runtime/cli/error-log.h"

/* As runc. */
#define EXIT_UNKNOWN_COMMAND 3

static int fail(const char *message)
{
        log_error("%s", message);
        return EXIT_FAILURE;
}

static int run_command(const CliCommand *command, CliArgs *args, size_t n, char *argv[])
{
        static const CliOption help[] = { { "help", 'h', NULL, CLI_ARG(help), "" }, {} };
        _cleanup_free_ CliOption *table = NULL;
        _cleanup_free_ char **words = NULL, *message = NULL;
        size_t k = 0;
        int r;

        CLI_OPTION_FOREACH(o, command->options)
                k++;
        table = new0(CliOption, k + ELEMENTSOF(help));
        words = new0(char *, n + 1);
        if (!table || !words)
                return log_oom(), EXIT_FAILURE;
        if (k > 0)
                memcpy(table, command->options, k * sizeof(CliOption));
        memcpy(table + k, help, sizeof(help));

        r = cli_options_parse(table, command->in_order, n, argv, args, words, &args->n_words, &message);
        if (r < 0) {
                log_error("%s: %s; see kata-runtime %s --help", command->name,
                          message ? message : strerror(-r), command->name);
                r = EXIT_FAILURE;
        } else if (args->help) {
                cli_print_command_help(stdout, command);
                r = EXIT_SUCCESS;
        } else if (args->n_words < command->min_words || args->n_words > command->max_words) {
                log_error("%s takes %s; see kata-runtime %s --help", command->name,
                          command->words ? command->words : "no arguments", command->name);
                r = EXIT_FAILURE;
        } else {
                args->words = words;
                r = command->run(args);
        }

        cli_options_done(command->options, args);
        return r;
}

int main(int argc, char *argv[])
{
        _cleanup_free_ char **words = new0(char *, (size_t) argc + 1), *message = NULL;
        const CliCommand *command;
        CliArgs args = {};
        size_t n = 0;
        int r;

        (void) error_log_open(NULL, false, NULL, NULL);
        if (!words)
                return log_oom(), EXIT_FAILURE;
        r = cli_options_parse(cli_global_options, true, argc > 0 ? (size_t) argc - 1 : 0, argv + 1, &args,
                              words, &n, &message);
        if (r < 0)
                return fail(message ? message : strerror(-r));
        if (args.version) {
                puts("kata-runtime " PROJECT_VERSION);
                return EXIT_SUCCESS;
        }
        if (args.help) {
                cli_print_help(stdout);
                return EXIT_SUCCESS;
        }
        r = error_log_open(args.log, streq_ptr(args.log_format, "json"),
                           args.debug ? "debug" : args.log_level, &message);
        if (r < 0)
                return fail(message);
        if (streq_ptr(args.rootless, "true"))
                return fail("--rootless=true: sandboxes are system units, and KVM and the network need root");
        if (n == 0)
                return fail("a command is needed; see kata-runtime --help");

        command = cli_command_find(words[0]);
        if (!command) {
                log_error("there is no command '%s'; see kata-runtime --help", words[0]);
                return EXIT_UNKNOWN_COMMAND;
        }
        args.help = false;
        r = run_command(command, &args, n - 1, words + 1);
        if (fflush(stdout) != 0) {
                (void) log_error_errno(errno, "standard output");
                return EXIT_FAILURE;
        }
        return r;
}
