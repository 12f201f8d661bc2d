/* SPDX-License-Identifier: Apache-2.0 */
/* kata-runtime features, and what this runtime does not do. Facts: runtime-spec 1.2, features.md. */

#include <json-c/json.h>

#include "basic/log.h"
#include "runtime/cli/command.h"

static const char *const namespaces[] = { "cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts", NULL };
/* Those of agent/mounts.c. */
static const char *const mount_options[] = {
        "async", "atime", "bind", "defaults", "dev", "diratime", "dirsync", "exec", "idmap", "nodev", "nodiratime",
        "noexec", "norelatime", "nostrictatime", "nosuid", "private", "ratime", "rbind", "rdev", "relatime",
        "rexec", "ridmap", "rnoatime", "rnodev", "rnodiratime", "rnoexec", "rnosuid", "ro", "rprivate", "rro",
        "rrw", "rshared", "rslave", "rsuid", "runbindable", "rw", "shared", "silent", "slave", "strictatime", "suid",
        "sync", "tmpcopyup", "unbindable", NULL,
};
static const char *const seccomp_actions[] = {
        "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD",
        "SCMP_ACT_LOG", "SCMP_ACT_TRACE", "SCMP_ACT_TRAP", NULL,
};
static const char *const seccomp_operators[] = {
        "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ",
        "SCMP_CMP_NE", NULL,
};

static json_object *list_of(const char *const *words)
{
        json_object *list = json_object_new_array();

        for (size_t i = 0; words[i]; i++)
                json_object_array_add(list, json_object_new_string(words[i]));
        return list;
}

static json_object *enabled(bool on)
{
        json_object *o = json_object_new_object();

        json_object_object_add(o, "enabled", json_object_new_boolean(on));
        return o;
}

static json_object *cgroup_part(void)
{
        json_object *o = json_object_new_object();

        json_object_object_add(o, "v1", json_object_new_boolean(false));
        json_object_object_add(o, "v2", json_object_new_boolean(true));
        json_object_object_add(o, "systemd", json_object_new_boolean(true));
        json_object_object_add(o, "systemdUser", json_object_new_boolean(false));
        json_object_object_add(o, "rdma", json_object_new_boolean(false));
        return o;
}

/*
 * What is built; that it takes a file system which has them in the guest is a matter of the node (features.md,
 * mountExtensions), as over virtio-fs it takes virtiofsd 1.13 or another one that offers FUSE_ALLOW_IDMAP.
 */
static json_object *mount_extensions(void)
{
        json_object *o = json_object_new_object();

        json_object_object_add(o, "idmap", enabled(true));
        return o;
}

static json_object *linux_part(void)
{
        json_object *o = json_object_new_object(), *seccomp = enabled(true);

        json_object_object_add(o, "namespaces", list_of(namespaces));
        json_object_object_add(o, "cgroup", cgroup_part());
        json_object_object_add(seccomp, "actions", list_of(seccomp_actions));
        json_object_object_add(seccomp, "operators", list_of(seccomp_operators));
        json_object_object_add(o, "seccomp", seccomp);
        json_object_object_add(o, "apparmor", enabled(false));
        json_object_object_add(o, "selinux", enabled(false));
        json_object_object_add(o, "intelRdt", enabled(false));
        json_object_object_add(o, "mountExtensions", mount_extensions());
        return o;
}

int verb_features(const CliArgs *args)
{
        json_object *o = json_object_new_object();

        json_object_object_add(o, "ociVersionMin", json_object_new_string("1.0.0"));
        json_object_object_add(o, "ociVersionMax", json_object_new_string("1.2.0"));
        json_object_object_add(o, "mountOptions", list_of(mount_options));
        json_object_object_add(o, "linux", linux_part());
        puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
        json_object_put(o);
        return EXIT_SUCCESS;
}

int verb_checkpoint(const CliArgs *args)
{
        log_error("checkpoint and restore are not supported: the processes of a container are in a machine, out of "
                  "CRIU's reach");
        return EXIT_FAILURE;
}
