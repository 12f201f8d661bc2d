/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What create reads of a bundle and does on the host: units of a cgroupsPath, definitions of sandboxes, namespaces,
 * hooks, mount points.
 */

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/test.h"
#include "runtime/cli/cgroups-path.h"
#include "runtime/cli/container-sandbox.h"
#include "runtime/cli/host-hooks.h"
#include "runtime/cli/mount-points.h"
#include "runtime/net/namespace.h"
#include "runtime/oci/json-parse.h"

static char dir[64], *message;

static void make_dir(void)
{
        strcpy(dir, "/tmp/test-cli-create-XXXXXX");
        ASSERT_NOT_NULL(mkdtemp(dir));
}

static void remove_dir(void)
{
        ASSERT_OK(rm_rf(dir));
        message = mfree(message);
}

static const char *in_dir(const char *name)
{
        static char path[128];

        snprintf(path, sizeof(path), "%s/%s", dir, name);
        return path;
}

TEST(cgroups_paths)
{
        static const struct {
                const char *path, *slice, *scope;
        } good[] = {
                { "machine.slice:libpod:0123", "machine.slice", "libpod-0123.scope" },
                { ":docker:ab", "system.slice", "docker-ab.scope" },
                { "kubepods-besteffort-pod1.slice:cri-containerd:ab", "kubepods-besteffort-pod1.slice",
                  "cri-containerd-ab.scope" },
                { "user.slice::ab", "user.slice", "ab.scope" },
        };
        static const struct {
                const char *path;
                int error;
        } bad[] = {
                { "/default/web", EINVAL }, { "a.slice:b", EINVAL }, { "a.slice:b:c:d", EINVAL }, { "a:b:c", EINVAL },
                { "a.slice:b:", EINVAL }, { "a.slice:b/..:c", EINVAL }, { "a.slice:b:c\n", EINVAL },
                { "a.slice:b:c.slice", EOPNOTSUPP },
        };
        CgroupUnits u;

        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                ASSERT_OK(cgroups_path_parse(good[i].path, true, &u, &message));
                ASSERT_STREQ(u.slice, good[i].slice);
                ASSERT_STREQ(u.scope, good[i].scope);
                cgroup_units_done(&u);
        }
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                message = mfree(message);
                ASSERT_ERROR(cgroups_path_parse(bad[i].path, true, &u, &message), bad[i].error);
                ASSERT_CONTAINS(message, "linux.cgroupsPath");
        }
        ASSERT_OK(cgroups_path_parse("/default/web", false, &u, &message));
        ASSERT_NULL(u.scope);
        ASSERT_OK(cgroups_path_parse(NULL, true, &u, &message));
        ASSERT_NULL(u.scope);
        message = mfree(message);
}

static void open_bundle(const char *text, OciBundle *ret)
{
        ASSERT_OK(write_file_atomic(in_dir("config.json"), text, strlen(text), 0600));
        ASSERT_OK(bundle_open(dir, ret, &message));
}

TEST(namespaces_and_networks)
{
        const char *path = "x";
        OciBundle b;
        int fd;

        make_dir();
        open_bundle("{\"root\":{\"path\":\"r\"},\"linux\":{\"namespaces\":[{\"type\":\"pid\"}]}}", &b);
        ASSERT_EQ(bundle_network_namespace(&b, &path), 0);
        bundle_done(&b);
        open_bundle("{\"root\":{\"path\":\"r\"},\"linux\":{\"namespaces\":[5,{\"type\":\"network\",\"path\":\"/n\"}]}}",
                    &b);
        ASSERT_EQ(bundle_network_namespace(&b, &path), 1);
        ASSERT_STREQ(path, "/n");
        bundle_done(&b);
        open_bundle("{\"root\":{\"path\":\"r\"},\"linux\":{\"namespaces\":"
                    "[{\"type\":\"network\",\"path\":\"\"}]}}", &b);
        ASSERT_EQ(bundle_network_namespace(&b, &path), 1);
        ASSERT_NULL(path);
        bundle_done(&b);

        ASSERT_OK(namespace_open_any("/proc/self/ns/net", &fd, &message));
        safe_close(fd);
        ASSERT_ERROR(namespace_open_any("/proc/self/ns/uts", &fd, &message), EINVAL);
        ASSERT_CONTAINS(message, "/proc/self/ns/uts is not a network namespace");
        message = mfree(message);
        ASSERT_ERROR(namespace_open_any(in_dir("config.json"), &fd, &message), EINVAL);
        message = mfree(message);
        ASSERT_ERROR(namespace_open_any(in_dir("missing"), &fd, &message), ENOENT);
        remove_dir();
}

/* What is written is what the supervisor reads, see test-sandbox-conf.c. */
TEST(definitions)
{
        static uint8_t processors[] = { 0x8f }, nodes[] = { 1 };
        const SandboxParams none = {}, all = {
                .memory = 512 << 20, .vcpus = 2, .slice = "machine.slice", .scope = "libpod-1.scope",
                .limits = {
                        .set = SCOPE_LIMIT_CPU_WEIGHT | SCOPE_LIMIT_CPU_QUOTA | SCOPE_LIMIT_CPU_PERIOD |
                               SCOPE_LIMIT_CPUS | SCOPE_LIMIT_MEMORY_NODES | SCOPE_LIMIT_IO_WEIGHT |
                               SCOPE_LIMIT_MEMORY_MAX,
                        .cpu_weight = 174, .cpu_quota = 1510000, .cpu_period = 50000, .cpus = { processors, 1 },
                        .memory_nodes = { nodes, 1 }, .io_weight = 4950, .memory_max = SCOPE_MEMORY_OF_MACHINE,
                },
        }, unlimited = {
                .limits = {
                        .set = SCOPE_LIMIT_CPU_QUOTA | SCOPE_LIMIT_MEMORY_MAX, .cpu_quota = UINT64_MAX,
                        .memory_max = UINT64_MAX,
                },
        };
        static const char head[] = "# Made by kata-runtime.\n[Sandbox]\n";
        char *text;

        text = ASSERT_NOT_NULL(sandbox_params_to_text(&none));
        ASSERT_STREQ(text, head);
        free(text);
        text = ASSERT_NOT_NULL(sandbox_params_to_text(&unlimited));
        ASSERT_STREQ(text, head);
        free(text);
        text = ASSERT_NOT_NULL(sandbox_params_to_text(&all));
        ASSERT_STREQ(text, "# Made by kata-runtime.\n[Sandbox]\nMemory=512M\nVCPUs=2\nSlice=machine.slice\n"
                     "Scope=libpod-1.scope\nCPUWeight=174\nCPUQuota=151%\nCPUQuotaPeriodSec=50000us\n"
                     "AllowedCPUs=0-3,7\nAllowedMemoryNodes=0\nIOWeight=4950\nMemoryMax=machine\n");
        free(text);
}

TEST(pods)
{
        static const struct {
                const char *annotations, *pod;
                bool in_pod;
        } cases[] = {
                { "{}", NULL, false },
                { "{\"io.kubernetes.cri-o.SandboxID\":\"p1\"}", "p1", true },
                { "{\"io.kubernetes.cri.sandbox-id\":\"p1\"}", "p1", true },
                /* The pod's first one. */
                { "{\"io.kubernetes.cri-o.SandboxID\":\"c1\"}", NULL, true },
                { "{\"io.kubernetes.cri-o.SandboxID\":\"\"}", NULL, false },
                { "[]", NULL, false },
        };
        OciBundle b;

        make_dir();
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *text = NULL;

                ASSERT_TRUE(asprintf(&text, "{\"root\":{\"path\":\"r\"},\"annotations\":%s}",
                                     cases[i].annotations) > 0);
                open_bundle(text, &b);
                ASSERT_EQ(bundle_in_pod(&b), cases[i].in_pod);
                if (cases[i].pod)
                        ASSERT_STREQ(bundle_pod(&b, "c1"), cases[i].pod);
                else
                        ASSERT_NULL(bundle_pod(&b, "c1"));
                ASSERT_NULL(bundle_resources(&b));
                bundle_done(&b);
        }
        remove_dir();
}

static json_object *object(const char *text)
{
        json_object *o = NULL;

        ASSERT_OK(json_parse_object("test", text, strlen(text), &o, NULL));
        return o;
}

TEST(hooks)
{
        static const char *const bad[] = {
                "{\"prestart\":5}", "{\"prestart\":[5]}", "{\"poststop\":[{\"path\":\"true\"}]}",
                "{\"poststart\":[{\"path\":\"/bin/true\",\"timeout\":0}]}",
                "{\"createRuntime\":[{\"path\":\"/bin/true\",\"args\":[1]}]}",
        };
        _cleanup_json_ json_object *state = object("{\"id\":\"web\"}"), *hooks = NULL;
        _cleanup_free_ char *config = NULL, *text = NULL;
        json_object *o;

        make_dir();
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                o = object(bad[i]);
                ASSERT_TRUE(host_hooks_check(o, &message) < 0);
                ASSERT_CONTAINS(message, "hooks.");
                message = mfree(message);
                json_object_put(o);
        }
        ASSERT_OK(host_hooks_check(NULL, &message));

        ASSERT_TRUE(asprintf(&config, "{\"prestart\":[{\"path\":\"/bin/sh\",\"args\":[\"sh\",\"-c\","
                             "\"cat >%s/out; echo $A >>%s/out\"],\"env\":[\"A=b\",\"PATH=/bin:/usr/bin\"]}],"
                             "\"poststop\":[{\"path\":\"/bin/sh\",\"args\":[\"sh\",\"-c\",\"echo why; exit 3\"]},"
                             "{\"path\":\"/bin/sh\",\"args\":[\"sh\",\"-c\",\"echo >%s/second\"]}]}",
                             dir, dir, dir) > 0);
        hooks = object(config);
        ASSERT_OK(host_hooks_check(hooks, &message));
        ASSERT_OK(host_hooks_run(hooks, "createRuntime", state, &message));
        ASSERT_OK(host_hooks_run(hooks, "prestart", state, &message));
        ASSERT_OK(read_file_at(AT_FDCWD, in_dir("out"), 100, &text, NULL));
        ASSERT_STREQ(text, "{\"id\":\"web\"}b\n");
        ASSERT_ERROR(host_hooks_run(hooks, "poststop", state, &message), EIO);
        ASSERT_CONTAINS(message, "poststop hook '/bin/sh': exit status 3: why");
        ASSERT_OK(access(in_dir("second"), F_OK));
        remove_dir();
}

TEST(mount_points)
{
        static const char mounts[] =
                "\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\"},"
                "{\"destination\":\"/run\",\"type\":\"tmpfs\"},"
                "{\"destination\":\"/run/.env\",\"type\":\"bind\",\"source\":\"config.json\"},"
                "{\"destination\":\"/etc/hosts\",\"source\":\"config.json\",\"options\":[\"rbind\"]},"
                "{\"destination\":\"/link/data\",\"type\":\"bind\",\"source\":\"/tmp\"}]}";
        _cleanup_free_ char *text = NULL;
        struct stat st;
        OciBundle b;

        make_dir();
        ASSERT_OK(mkdir_p(in_dir("r"), 0755));
        ASSERT_OK(symlink("../..", in_dir("r/link")));
        ASSERT_TRUE(asprintf(&text, "{\"root\":{\"path\":\"r\",\"readonly\":true},%s", mounts) > 0);
        open_bundle(text, &b);
        ASSERT_OK(mount_points_make(&b, &message));
        ASSERT_OK(mount_points_make(&b, &message));
        ASSERT_OK(stat(in_dir("r/proc"), &st));
        ASSERT_TRUE(S_ISDIR(st.st_mode));
        ASSERT_OK(stat(in_dir("r/etc/hosts"), &st));
        ASSERT_TRUE(S_ISREG(st.st_mode) && st.st_size == 0);
        /* In what the guest mounts, and out of the root: the link leads to the root itself. */
        ASSERT_TRUE(access(in_dir("r/run/.env"), F_OK) < 0);
        ASSERT_OK(access(in_dir("r/data"), F_OK));
        bundle_done(&b);

        /* What the guest can write, it makes itself. */
        free(text);
        ASSERT_TRUE(asprintf(&text, "{\"root\":{\"path\":\"r\"},\"mounts\":"
                             "[{\"destination\":\"/new\",\"type\":\"tmpfs\"}]}") > 0);
        open_bundle(text, &b);
        ASSERT_OK(mount_points_make(&b, &message));
        ASSERT_TRUE(access(in_dir("r/new"), F_OK) < 0);
        bundle_done(&b);
        remove_dir();
}

DEFINE_TEST_MAIN
