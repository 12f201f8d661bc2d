/* SPDX-License-Identifier: Apache-2.0 */
/* kata-runtime state, list and ps: what there is. */

#include <time.h>

#include "basic/error.h"
#include "basic/log.h"
#include "runtime/cli/container.h"

static const char *const formats[] = { "table", "json", NULL };

const CliOption list_options[] = {
        { "format", 'f', "FORMAT", CLI_ARG(format), "table or json", formats },
        { "quiet", 'q', NULL, CLI_ARG(quiet), "IDs alone" },
        {}
};

const CliOption ps_options[] = {
        { "format", 'f', "FORMAT", CLI_ARG(format), "table or json", formats },
        {}
};

int verb_state(const CliArgs *args)
{
        _cleanup_free_ char *message = NULL;
        json_object *o;
        CliContainer c;
        int r;

        r = container_open(cli_root(args), args->words[0], &c, &message);
        if (r < 0)
                return cli_fail(r, message);
        if (!c.has_record) {
                container_done(&c);
                log_error("container \"%s\" was never completed; delete it with --force", args->words[0]);
                return EXIT_FAILURE;
        }
        o = container_state_json(&c);
        puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
        json_object_put(o);
        container_done(&c);
        return EXIT_SUCCESS;
}

static const char *get(json_object *o, const char *name)
{
        json_object *value;

        return json_object_object_get_ex(o, name, &value) ? json_object_get_string(value) : "";
}

static void print_table(json_object *list)
{
        printf("%-32s %-10s %-10s %-32s %-28s %s\n", "ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER");
        for (size_t i = 0; i < json_object_array_length(list); i++) {
                json_object *o = json_object_array_get_idx(list, i);

                printf("%-32s %-10s %-10s %-32s %-28s %s\n", get(o, "id"), get(o, "pid"), get(o, "status"),
                       get(o, "bundle"), get(o, "created"), get(o, "owner"));
        }
}

/* Those that are deleted meanwhile, or have no record yet, are none. */
static int gather(const char *root, json_object *list, char **reterr_message)
{
        _cleanup_(strv_done) Strv ids = {};
        const char *id;
        int r = store_list(root, &ids, reterr_message);

        if (r < 0)
                return r;
        STRV_FOREACH(id, &ids) {
                CliContainer c;

                r = container_open(root, id, &c, reterr_message);
                if (r == -ENOENT)
                        continue;
                if (r < 0)
                        return r;
                if (c.has_record)
                        json_object_array_add(list, container_state_json(&c));
                container_done(&c);
        }
        return 0;
}

int verb_list(const CliArgs *args)
{
        _cleanup_free_ char *message = NULL;
        json_object *list = json_object_new_array();
        int r = gather(cli_root(args), list, &message);

        if (r < 0) {
                json_object_put(list);
                return cli_fail(r, message);
        }
        if (args->quiet)
                for (size_t i = 0; i < json_object_array_length(list); i++)
                        puts(get(json_object_array_get_idx(list, i), "id"));
        else if (streq_ptr(args->format, "json"))
                puts(json_object_to_json_string_ext(list, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
        else
                print_table(list);
        json_object_put(list);
        return EXIT_SUCCESS;
}

/* Processes of the host: those of the guest are in another machine, and have numbers of its own. */
int verb_ps(const CliArgs *args)
{
        _cleanup_free_ char *message = NULL;
        CliContainer c;
        int r;

        r = container_open(cli_root(args), args->words[0], &c, &message);
        if (r < 0)
                return cli_fail(r, message);
        if (c.status == STATUS_STOPPED || c.status == STATUS_CREATING) {
                container_done(&c);
                log_error("container not running");
                return EXIT_FAILURE;
        }
        if (streq_ptr(args->format, "json"))
                printf("[%d]\n", (int) c.record.pid);
        else
                printf("%8s %s\n%8d kata-shim\n", "PID", "CMD", (int) c.record.pid);
        container_done(&c);
        return EXIT_SUCCESS;
}
