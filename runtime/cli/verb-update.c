/* SPDX-License-Identifier: Apache-2.0 */
/* kata-runtime update: new limits for a container that runs. */

#include <fcntl.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "proto/task-types.h"
#include "runtime/cli/container.h"
#include "runtime/oci/json-parse.h"


const CliOption update_options[] = {
        { "resources", 'r', "FILE", CLI_ARG(resources), "Limits as JSON (linux.resources); - is standard input" },
        { "blkio-weight", 0, "WEIGHT", CLI_ARG(blkio_weight), "Share of disk traffic, 10 to 1000" },
        { "cpu-period", 0, "USEC", CLI_ARG(cpu_period), "Period of the processor limit" },
        { "cpu-quota", 0, "USEC", CLI_ARG(cpu_quota), "Processor time in each period; -1 for no limit" },
        { "cpu-shares", 0, "SHARES", CLI_ARG(cpu_shares), "Share of processor time, 2 to 262144" },
        { "cpuset-cpus", 0, "LIST", CLI_ARG(cpuset_cpus), "Processors of the host that the machine runs on" },
        { "cpuset-mems", 0, "LIST", CLI_ARG(cpuset_mems), "Memory nodes of the host that the machine uses" },
        { "memory", 0, "BYTES", CLI_ARG(memory), "Limit of memory; -1 for none; K, M and G are known" },
        { "memory-reservation", 0, "BYTES", CLI_ARG(memory_reservation), "Memory that is kept when it gets scarce" },
        { "memory-swap", 0, "BYTES", CLI_ARG(memory_swap), "Limit of memory and swap together; -1 for none" },
        { "pids-limit", 0, "NUMBER", CLI_ARG(pids_limit), "Limit of processes; -1 for none" },
        {}
};

/* Options, where they go, and what they are. */
static const struct {
        const char *option;
        size_t offset;
        const char *group, *name;
        bool size, text;
} limits[] = {
        { "blkio-weight", offsetof(CliArgs, blkio_weight), "blockIO", "weight" },
        { "cpu-period", offsetof(CliArgs, cpu_period), "cpu", "period" },
        { "cpu-quota", offsetof(CliArgs, cpu_quota), "cpu", "quota" },
        { "cpu-shares", offsetof(CliArgs, cpu_shares), "cpu", "shares" },
        { "cpuset-cpus", offsetof(CliArgs, cpuset_cpus), "cpu", "cpus", .text = true },
        { "cpuset-mems", offsetof(CliArgs, cpuset_mems), "cpu", "mems", .text = true },
        { "memory", offsetof(CliArgs, memory), "memory", "limit", .size = true },
        { "memory-reservation", offsetof(CliArgs, memory_reservation), "memory", "reservation", .size = true },
        { "memory-swap", offsetof(CliArgs, memory_swap), "memory", "swap", .size = true },
        { "pids-limit", offsetof(CliArgs, pids_limit), "pids", "limit" },
};

static int parse_number(const char *text, bool size, int64_t *ret)
{
        uint64_t n;

        if (!size || streq(text, "-1"))
                return parse_i64(text, ret);
        if (parse_size(text, &n) < 0 || n > INT64_MAX)
                return -EINVAL;
        *ret = (int64_t) n;
        return 0;
}

static json_object *group_of(json_object *o, const char *name)
{
        json_object *group;

        if (!json_object_object_get_ex(o, name, &group)) {
                group = json_object_new_object();
                json_object_object_add(o, name, group);
        }
        return group;
}

static int make_resources(const CliArgs *args, json_object **ret, char **reterr_message)
{
        _cleanup_json_ json_object *o = json_object_new_object();

        for (size_t i = 0; i < ELEMENTSOF(limits); i++) {
                const char *text = *(const char *const *) (const void *) ((const char *) args + limits[i].offset);
                int64_t n;

                if (!text)
                        continue;
                if (limits[i].text) {
                        json_object_object_add(group_of(o, limits[i].group), limits[i].name,
                                               json_object_new_string(text));
                        continue;
                }
                if (parse_number(text, limits[i].size, &n) < 0)
                        return error_setf(reterr_message, -EINVAL, "--%s '%s' is no number", limits[i].option, text);
                json_object_object_add(group_of(o, limits[i].group), limits[i].name, json_object_new_int64(n));
        }
        if (json_object_object_length(o) == 0)
                return error_setf(reterr_message, -EINVAL, "update needs a limit, or --resources");
        *ret = TAKE_PTR(o);
        return 0;
}

static int read_resources(const char *path, json_object **ret, char **reterr_message)
{
        bool input = streq(path, "-");
        _cleanup_free_ char *text = NULL;
        size_t n;
        int r;

        if (input)
                r = read_fd_max(STDIN_FILENO, OCI_CONFIG_MAX, &text, &n);
        else
                r = read_file_at(AT_FDCWD, path, OCI_CONFIG_MAX, &text, &n);
        if (r < 0)
                return error_setf(reterr_message, r, "--resources %s: %s", path, strerror(-r));
        return json_parse_object(input ? "standard input" : path, text, n, ret, reterr_message);
}

static int update(CliContainer *c, json_object *resources, char **reterr_message)
{
        Containerd__Task__V2__UpdateTaskRequest q = CONTAINERD__TASK__V2__UPDATE_TASK_REQUEST__INIT;
        const char *text = json_object_to_json_string_ext(resources, JSON_C_TO_STRING_PLAIN);
        Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;

        if (!text)
                return -ENOMEM;
        if (c->status == STATUS_STOPPED || c->status == STATUS_CREATING)
                return error_setf(reterr_message, -EINVAL, "container not running");
        any.type_url = (char *) (uintptr_t) TASK_TYPE_RESOURCES;
        any.value.data = (uint8_t *) (uintptr_t) text;
        any.value.len = strlen(text);
        q.id = c->record.id;
        q.resources = &any;
        q.of_machine = c->record.alone;
        return container_call(c, "Update", &q.base, reterr_message);
}

int verb_update(const CliArgs *args)
{
        _cleanup_json_ json_object *resources = NULL;
        _cleanup_free_ char *message = NULL;
        CliContainer c;
        int r;

        r = container_open(cli_root(args), args->words[0], &c, &message);
        if (r < 0)
                return cli_fail(r, message);
        if (args->resources)
                r = read_resources(args->resources, &resources, &message);
        else
                r = make_resources(args, &resources, &message);
        if (r >= 0)
                r = update(&c, resources, &message);
        container_done(&c);
        return r < 0 ? cli_fail(r, message) : EXIT_SUCCESS;
}
