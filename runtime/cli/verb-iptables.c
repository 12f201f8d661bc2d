/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kata-runtime iptables: the packet filter of a guest, read and written in the form of iptables-save(8), over
 * sandbox.sock of the supervisor.
 */

#include <fcntl.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/log.h"
#include "proto/sandbox.pb-c.h"
#include "runtime/cli/container.h"

const CliOption iptables_options[] = {
        { "sandbox-id", 0, "ID", CLI_ARG(sandbox_id), "The sandbox" },
        { "v6", 0, NULL, CLI_ARG(v6), "IPv6 in the place of IPv4" },
        {}
};

static int read_rules(const char *path, uint8_t **ret, size_t *ret_n, char **reterr_message)
{
        char *text;
        int r;

        if (!path || streq(path, "-"))
                r = read_fd_max(STDIN_FILENO, IPTABLES_RULES_MAX, &text, ret_n);
        else
                r = read_file_at(AT_FDCWD, path, IPTABLES_RULES_MAX, &text, ret_n);
        if (r < 0)
                return error_setf(reterr_message, r, "%s: %s", path && !streq(path, "-") ? path : "standard input",
                                  r == -EFBIG ? "rules of more than 4 MiB" : strerror(-r));
        *ret = (uint8_t *) text;
        return 0;
}

static int get(TaskClient *client, bool v6, char **reterr_message)
{
        Kata__Systemd__V1__GetIPTablesRequest q = KATA__SYSTEMD__V1__GET_IPTABLES_REQUEST__INIT;
        Kata__Systemd__V1__GetIPTablesResponse *a;
        _cleanup_pb_arena_ PbArena arena;
        int r;

        pb_arena_init(&arena, 0);
        q.ipv6 = v6;
        r = task_client_call(client, "GetIPTables", &q.base, CALL_USEC, &arena,
                             &kata__systemd__v1__get_iptables_response__descriptor, &a, reterr_message);
        if (r >= 0)
                (void) fwrite(a->rules.data, 1, a->rules.len, stdout);
        return r;
}

static int set(TaskClient *client, bool v6, const char *path, char **reterr_message)
{
        Kata__Systemd__V1__SetIPTablesRequest q = KATA__SYSTEMD__V1__SET_IPTABLES_REQUEST__INIT;
        Kata__Systemd__V1__SetIPTablesResponse *a;
        _cleanup_free_ uint8_t *rules = NULL;
        _cleanup_pb_arena_ PbArena arena;
        int r;

        pb_arena_init(&arena, 0);
        q.ipv6 = v6;
        r = read_rules(path, &rules, &q.rules.len, reterr_message);
        if (r < 0)
                return r;
        q.rules.data = rules;
        r = task_client_call(client, "SetIPTables", &q.base, CALL_USEC, &arena,
                             &kata__systemd__v1__set_iptables_response__descriptor, &a, reterr_message);
        if (r >= 0)
                (void) fwrite(a->output.data, 1, a->output.len, stdout);
        return r;
}

int verb_iptables(const CliArgs *args)
{
        _cleanup_(task_client_freep) TaskClient *client = NULL;
        const char *verb = args->words[0], *path = args->n_words > 1 ? args->words[1] : NULL;
        _cleanup_free_ char *message = NULL;
        bool reads = streq(verb, "get");
        int r;

        if ((!reads && !streq(verb, "set")) || (reads && path)) {
                log_error("iptables takes 'get', or 'set' and a file; see kata-runtime iptables --help");
                return EXIT_FAILURE;
        }
        if (!args->sandbox_id) {
                log_error("iptables needs --sandbox-id");
                return EXIT_FAILURE;
        }
        if (!sandbox_name_is_valid(args->sandbox_id)) {
                log_error("'%.200s' is not a sandbox ID", args->sandbox_id);
                return EXIT_FAILURE;
        }

        r = task_client_connect_sandbox(args->sandbox_id, &client, &message);
        if (r >= 0)
                r = reads ? get(client, args->v6, &message) : set(client, args->v6, path, &message);
        return r < 0 ? cli_fail(r, message) : EXIT_SUCCESS;
}
