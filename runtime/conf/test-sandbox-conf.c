/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/stat.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/test.h"
#include "runtime/conf/sandbox-conf.h"

static int parse(const char *text, SandboxConf **ret, char **reterr_message)
{
        _cleanup_node_conf_ NodeConf *node = NULL;

        ASSERT_OK(node_conf_new(&node));
        return sandbox_conf_parse(NULL, "x.conf", text, strlen(text), "web", node, ret, reterr_message);
}

TEST(full)
{
        _cleanup_sandbox_conf_ SandboxConf *conf = NULL;
        _cleanup_free_ char *message = NULL;
        const ContainerConf *c;

        if (parse("# comment\n"
                  "[Sandbox]\n"
                  "  Memory = 256M  \n"
                  "VCPUs=2\n"
                  "Hostname=web-1\n"
                  "KernelParameters=quiet x=\"a b\"\n"
                  "KernelModules=loop  max_loop=8 ; xfs;\n"
                  "StopTimeout=1min 5s\n"
                  "Accelerator=tcg\n"
                  "Transport=serial\n"
                  "GuestDirectory=/srv/pair\n"
                  "NetworkNamespace=/run/netns/web\n"
                  "Debug=yes\n"
                  "\n"
                  "[Container one]\n"
                  "RootDirectory=/\n"
                  "Command=/bin/sh -c \"echo a # b; x=1\" \\\n"
                  "        # between joined lines\n"
                  "        'two words'\n"
                  "Environment=A=1 \"B=x y\" C='#z'\n"
                  "Environment=A=2\n"
                  "WorkingDirectory=/tmp\n"
                  "User=1000:100\n"
                  "ReadOnly=yes\n"
                  "Memory=64M\n"
                  "StopSignal=INT\n"
                  "[Container two]\n"
                  "Bundle=/tmp",
                  &conf, &message) < 0)
                TEST_FAIL("%s", message);

        ASSERT_EQ(conf->memory, MIB(256));
        ASSERT_EQ(conf->vcpus, 2);
        ASSERT_STREQ(conf->hostname, "web-1");
        ASSERT_STREQ(conf->kernel_parameters, "quiet x=\"a b\"");
        ASSERT_STREQ(conf->kernel_modules, "loop  max_loop=8 ; xfs;");
        ASSERT_EQ(conf->stop_timeout, 65 * USEC_PER_SEC);
        ASSERT_EQ(conf->accelerator, CONF_ACCELERATOR_TCG);
        ASSERT_EQ(conf->transport, CONF_TRANSPORT_SERIAL);
        ASSERT_STREQ(conf->guest_directory, "/srv/pair");
        ASSERT_STREQ(conf->network_namespace, "/run/netns/web");
        ASSERT_TRUE(conf->debug);
        ASSERT_EQ(conf->n_containers, 2);

        c = &conf->containers[0];
        ASSERT_STREQ(c->name, "one");
        ASSERT_EQ(c->line, 15);
        ASSERT_STREQ(c->root_directory, "/");
        ASSERT_NULL(c->bundle);
        ASSERT_EQ(c->command.n, 4);
        ASSERT_STREQ(c->command.v[2], "echo a # b; x=1");
        ASSERT_STREQ(c->command.v[3], "two words");
        ASSERT_EQ(c->environment.n, 3);
        ASSERT_STREQ(c->environment.v[0], "A=2");
        ASSERT_STREQ(c->environment.v[2], "C=#z");
        ASSERT_EQ(c->uid, 1000);
        ASSERT_EQ(c->gid, 100);
        ASSERT_TRUE(c->read_only);
        ASSERT_EQ(c->memory, MIB(64));
        ASSERT_EQ(c->stop_signal, 2);

        c = sandbox_conf_find_container(conf, "two");
        ASSERT_STREQ(ASSERT_NOT_NULL(c)->bundle, "/tmp");
        ASSERT_EQ(c->stop_signal, 15);
        ASSERT_NULL(sandbox_conf_find_container(conf, "three"));
}

TEST(node_values)
{
        static const char text[] = "[Container one]\nBundle=/\n";
        _cleanup_sandbox_conf_ SandboxConf *conf = NULL;
        _cleanup_node_conf_ NodeConf *node = NULL;

        ASSERT_OK(node_conf_new(&node));
        node->memory = MIB(96);
        node->transport = CONF_TRANSPORT_VSOCK;
        free(node->kernel_parameters);
        node->kernel_parameters = strdup("a=1");
        node->kernel_modules = strdup("tun");
        ASSERT_OK(sandbox_conf_parse(NULL, "x.conf", text, strlen(text), "web", node, &conf, NULL));
        ASSERT_EQ(conf->memory, MIB(96));
        ASSERT_EQ(conf->transport, CONF_TRANSPORT_VSOCK);
        ASSERT_STREQ(conf->kernel_parameters, "a=1");
        ASSERT_STREQ(conf->kernel_modules, "tun");
        ASSERT_STREQ(conf->hostname, "web");
        ASSERT_FALSE(conf->debug);
}

#define CONTAINER "[Container one]\nRootDirectory=/\nCommand=a\n"

TEST(limits_of_the_machine)
{
        _cleanup_sandbox_conf_ SandboxConf *conf = NULL, *none = NULL, *bytes = NULL;

        ASSERT_OK(parse(CONTAINER "[Sandbox]\nCPUWeight=50\nCPUQuota=150%\nCPUQuotaPeriodSec=50ms\nAllowedCPUs=0-3,7\n"
                        "AllowedMemoryNodes=0\nIOWeight=200\nMemoryMax=machine\nTasksMax=512\n", &conf, NULL));
        ASSERT_EQ(conf->cpu_weight, 50);
        ASSERT_EQ(conf->cpu_quota, 1500000);
        ASSERT_EQ(conf->cpu_quota_period, 50000);
        ASSERT_STREQ(conf->allowed_cpus, "0-3,7");
        ASSERT_STREQ(conf->allowed_memory_nodes, "0");
        ASSERT_EQ(conf->io_weight, 200);
        ASSERT_TRUE(conf->memory_max == SANDBOX_MEMORY_MAX_MACHINE);
        ASSERT_EQ(conf->tasks_max, 512);
        ASSERT_OK(parse(CONTAINER, &none, NULL));
        ASSERT_EQ(none->cpu_weight + none->cpu_quota + none->io_weight + none->memory_max + none->tasks_max, 0);
        ASSERT_NULL(none->allowed_cpus);
        ASSERT_OK(parse(CONTAINER "[Sandbox]\nMemoryMax=2G\n", &bytes, NULL));
        ASSERT_EQ(bytes->memory_max, MIB(2048));
}

static const struct {
        const char *text, *message;
} bad[] = {
        { "", "x.conf: no [Container NAME] section" },
        { "[Sandbox]\nMemory=1G\n", "x.conf: no [Container NAME] section" },
        { "[Container one]\n", "x.conf:1: [Container one]: Bundle= or RootDirectory= is needed" },
        { "[Container one]\nRootDirectory=/\n",
          "x.conf:1: [Container one]: RootDirectory= needs a Command=" },
        { CONTAINER "Bundle=/\n",
          "x.conf:2: [Container one] RootDirectory=: not together with Bundle=, which line 4 has" },

        { "[Container one]\nBundle=/\nUser=0\n",
          "x.conf:3: [Container one] User=: goes with RootDirectory= only" },
        { CONTAINER CONTAINER, "x.conf:4: [Container one] is there already, in line 1" },
        { CONTAINER "[Container  one]\n",
          "x.conf:4: [Container  one]: there is a container of this name, in line 1" },
        { CONTAINER "[Sandbox]\n[Sandbox]\n", "x.conf:5: [Sandbox] is there already, in line 4" },
        { CONTAINER "Command=b\n", "x.conf:4: [Container one] Command=: given already, in line 3" },
        { CONTAINER "Hostname=b\n",
          "x.conf:4: [Container one] Hostname=: unknown key; known are Bundle=, RootDirectory=, " },

        { CONTAINER "[Sandbox]\nUser=1\n",
          "x.conf:5: [Sandbox] User=: unknown key; known are Memory=" },
        { CONTAINER "[Sandbox]\nMemory=5\n",
          "x.conf:5: [Sandbox] Memory=5: expected whole mebibytes" },
        { CONTAINER "[Sandbox]\nMemory=\n", "x.conf:5: [Sandbox] Memory=: expected" },
        { CONTAINER "[Sandbox]\nCPUWeight=0\n", "CPUWeight=0: expected a number from 1 to 10000" },
        { CONTAINER "[Sandbox]\nCPUQuota=150\n", "CPUQuota=150: expected a percentage from 10%" },
        { CONTAINER "[Sandbox]\nCPUQuota=9%\n", "CPUQuota=9%: expected a percentage from 10%" },
        { CONTAINER "[Sandbox]\nCPUQuota=%\n", "CPUQuota=%: expected a percentage" },
        { CONTAINER "[Sandbox]\nCPUQuota=-20%\n", "CPUQuota=-20%: expected a percentage" },
        { CONTAINER "[Sandbox]\nCPUQuotaPeriodSec=2s\n", "CPUQuotaPeriodSec=2s: expected a time from 1ms" },
        { CONTAINER "[Sandbox]\nAllowedCPUs=3-1\n", "AllowedCPUs=3-1: expected numbers below 8192" },
        { CONTAINER "[Sandbox]\nAllowedMemoryNodes=x\n", "AllowedMemoryNodes=x: expected numbers" },
        { CONTAINER "[Sandbox]\nMemoryMax=infinity\n", "MemoryMax=infinity: expected machine, or whole" },
        { CONTAINER "[Sandbox]\nTasksMax=64\n", "TasksMax=64: expected a number from 256" },
        { CONTAINER "[Sandbox]\nKernelModules=a;../b\n",
          "x.conf:5: [Sandbox] KernelModules=a;../b: expected NAME [PARAMETER=VALUE...], several with ';'" },
        { CONTAINER "[Sandbox]\nDebug=maybe\n",
          "x.conf:5: [Sandbox] Debug=maybe: expected yes or no" },
        { CONTAINER "[Service]\n",
          "x.conf:4: [Service]: unknown section; known are [Sandbox] and [Container NAME]" },
        { "[Container]\n", "x.conf:1: [Container]: a container's name has 2 to 128" },
        { "[Container a/b]\n", "x.conf:1: [Container a/b]: a container's name has" },
        { "[Containerone]\n", "unknown section" },
        { "[Container one]\nRootDirectory=srv\n",
          "x.conf:2: [Container one] RootDirectory=srv: expected an absolute path" },
        { "[Container one]\nRootDirectory=/nowhere/x\nCommand=a\n",
          "x.conf:2: [Container one] RootDirectory=/nowhere/x: directory does not exist" },
        { "[Container one]\nBundle=/dev/null\n",
          "x.conf:2: [Container one] Bundle=/dev/null: Not a directory" },
        { "[Container one]\nCommand=a 'b\n",
          "x.conf:2: [Container one] Command=a 'b: expected a command line" },
        { CONTAINER "Environment=A\n",
          "x.conf:4: [Container one] Environment=A: expected words of the form" },
        { CONTAINER "Environment=A=1\nEnvironment=B\n", "x.conf:5: " },
        { CONTAINER "StopSignal=KILLED\n", "expected a signal" },
        { CONTAINER "User=root\n", "expected UID or UID:GID" },
        { CONTAINER "ReadOnly=maybe\n", "ReadOnly=maybe: expected yes or no" },
        { "Memory=1G\n", "x.conf:1: Memory= stands before the first [Section]" },
        { CONTAINER "nonsense\n", "x.conf:4: neither [Section] nor Key=value" },
        { CONTAINER "[Sandbox\n", "x.conf:4: section header without ']'" },
        { CONTAINER "[]\n", "x.conf:4: section name is empty" },
        { CONTAINER "=x\n", "x.conf:4: a key is made of letters and digits" },
        { CONTAINER "User=\\\n1\\\n", "x.conf:5: ends in a backslash" },
        { CONTAINER "User=\x01\n", "x.conf:4: control character 0x01" },
        { CONTAINER "User=1\r\n", "x.conf:4: control character 0x0d" },
        { CONTAINER "# \xff\n", "x.conf:4: not valid UTF-8" },
};

TEST(errors)
{
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                _cleanup_sandbox_conf_ SandboxConf *conf = NULL;
                _cleanup_free_ char *message = NULL;

                if (parse(bad[i].text, &conf, &message) >= 0)
                        TEST_FAIL("accepted: %s", bad[i].text);
                ASSERT_NULL(conf);
                ASSERT_CONTAINS(message, bad[i].message);
        }
}

TEST(nul_byte)
{
        static const char text[] = "[Container one]\n\0Bundle=/\n";
        _cleanup_sandbox_conf_ SandboxConf *conf = NULL;
        _cleanup_node_conf_ NodeConf *node = NULL;
        _cleanup_free_ char *message = NULL;

        ASSERT_OK(node_conf_new(&node));
        ASSERT_ERROR(sandbox_conf_parse(NULL, "x.conf", text, sizeof(text) - 1, "web", node, &conf,
                                        &message),
                     EINVAL);
        ASSERT_CONTAINS(message, "x.conf:2: control character 0x00");
}

TEST(limits)
{
        _cleanup_sandbox_conf_ SandboxConf *conf = NULL;
        _cleanup_free_ char *message = NULL, *text = NULL;
        _cleanup_fclose_ FILE *f = NULL;
        size_t n;

        f = ASSERT_NOT_NULL(open_memstream(&text, &n));
        for (unsigned i = 0; i <= CONTAINERS_MAX; i++)
                fprintf(f, "[Container c%u]\nBundle=/\n", i);
        ASSERT_OK(fflush(f));
        ASSERT_ERROR(parse(text, &conf, &message), E2BIG);
        ASSERT_CONTAINS(message, "more than 64 containers");

        for (unsigned i = 0; i < 20000; i++)
                fprintf(f, "# a comment\n");
        for (unsigned i = 0; i < 4000; i++)
                fprintf(f, "# a comment, a comment\n");
        ASSERT_OK(fflush(f));
        ASSERT_ERROR(parse(text, &conf, &message), EFBIG);
}

TEST(load)
{
        char root[] = "/tmp/test-sandbox-conf-XXXXXX";
        _cleanup_free_ char *message = NULL, *etc = NULL, *run = NULL, *srv = NULL, *a = NULL, *b = NULL,
                            *c = NULL, *run_sandboxes = NULL;
        _cleanup_sandbox_conf_ SandboxConf *conf = NULL;
        _cleanup_node_conf_ NodeConf *node = NULL;
        static const char text[] = "[Container one]\nRootDirectory=/srv/one\nCommand=/bin/true\n";

        ASSERT_NOT_NULL(mkdtemp(root));
        ASSERT_OK(node_conf_new(&node));
        ASSERT_TRUE(asprintf(&etc, "%s%s/sandboxes", root, PKGSYSCONFDIR) > 0);
        ASSERT_TRUE(asprintf(&run, "%s%s/web", root, RUNDIR) > 0);
        ASSERT_TRUE(asprintf(&srv, "%s/srv/one", root) > 0);
        ASSERT_TRUE(asprintf(&a, "%s/web.conf", etc) > 0);
        ASSERT_TRUE(asprintf(&b, "%s/sandbox.conf", run) > 0);
        ASSERT_TRUE(asprintf(&run_sandboxes, "%s%s/sandboxes", root, RUNDIR) > 0);
        ASSERT_TRUE(asprintf(&c, "%s/web.conf", run_sandboxes) > 0);
        ASSERT_OK(mkdir_p(etc, 0755));
        ASSERT_OK(mkdir_p(run, 0755));
        ASSERT_OK(mkdir_p(run_sandboxes, 0755));

        ASSERT_ERROR(sandbox_conf_load(root, "web", node, &conf, &message), ENOENT);
        ASSERT_CONTAINS(message, "sandbox 'web' is not defined: ");
        ASSERT_CONTAINS(message, "/sandboxes/web.conf does not exist");

        ASSERT_ERROR(sandbox_conf_load(root, "../web", node, &conf, &message), EINVAL);
        ASSERT_CONTAINS(message, "invalid sandbox name '../web'");
        ASSERT_ERROR(sandbox_conf_load(root, "", node, &conf, &message), EINVAL);
        ASSERT_ERROR(sandbox_conf_load(root, "a1:b2:c3", node, &conf, &message), EINVAL);
        /* Of another --root of kata-runtime. */
        ASSERT_ERROR(sandbox_conf_load(root, "default:web", node, &conf, &message), ENOENT);

        ASSERT_OK(write_file_atomic(b, text, strlen(text), 0644));
        ASSERT_ERROR(sandbox_conf_load(root, "web", node, &conf, &message), ENOENT);
        ASSERT_CONTAINS(message, "/srv/one: directory does not exist");
        ASSERT_OK(mkdir_p(srv, 0755));
        ASSERT_OK(sandbox_conf_load(root, "web", node, &conf, NULL));
        ASSERT_STREQ(conf->path, b);
        ASSERT_STREQ(conf->containers[0].root_directory, "/srv/one");

        ASSERT_OK(write_file_atomic(c, text, strlen(text), 0644));
        sandbox_conf_free(TAKE_PTR(conf));
        ASSERT_OK(sandbox_conf_load(root, "web", node, &conf, NULL));
        ASSERT_STREQ(conf->path, c);

        ASSERT_OK(write_file_atomic(a, text, strlen(text), 0644));
        sandbox_conf_free(TAKE_PTR(conf));
        ASSERT_OK(sandbox_conf_load(root, "web", node, &conf, NULL));
        ASSERT_STREQ(conf->path, a);

        sandbox_conf_free(TAKE_PTR(conf));
        ASSERT_ERROR(sandbox_conf_load(root, "sandboxes", node, &conf, &message), EINVAL);
        ASSERT_CONTAINS(message, "can not have the name 'sandboxes'");

        ASSERT_OK(rm_rf(root));
}

/* Only where a caller has put it, a definition may leave the containers to him. */
TEST(without_containers)
{
        static const char text[] = "[Sandbox]\nMemory=128M\n";
        _cleanup_node_conf_ NodeConf *node = NULL;
        _cleanup_free_ char *message = NULL;
        _cleanup_sandbox_conf_ SandboxConf *conf = NULL;
        SandboxConf *none;

        ASSERT_OK(node_conf_load("/nonexistent", &node, NULL));
        ASSERT_OK(sandbox_conf_parse(NULL, RUNDIR "/web/sandbox.conf", text, strlen(text), "web", node, &conf, NULL));
        ASSERT_TRUE(conf->by_caller);
        ASSERT_EQ(conf->n_containers, 0);
        ASSERT_EQ(conf->memory, MIB(128));

        ASSERT_ERROR(sandbox_conf_parse(NULL, RUNDIR "/sandboxes/web.conf", text, strlen(text), "web", node, &none,
                                        &message), EINVAL);
        ASSERT_CONTAINS(message, "no [Container NAME] section");
        ASSERT_ERROR(sandbox_conf_parse(NULL, RUNDIR "/other/sandbox.conf", text, strlen(text), "web", node, &none,
                                        NULL), EINVAL);
}

/* A namespace that is made for the sandbox makes sense only for somebody who sets it up later. */
TEST(new_network_namespace)
{
        static const char text[] = "[Sandbox]\nVCPUs=1\nNetworkNamespace=new\n";
        static const char complete[] = "[Sandbox]\nNetworkNamespace=new\n"
                                       "[Container one]\nRootDirectory=/\nCommand=/bin/sh\n";
        _cleanup_node_conf_ NodeConf *node = NULL;
        _cleanup_free_ char *message = NULL;
        _cleanup_sandbox_conf_ SandboxConf *conf = NULL;
        SandboxConf *none;

        ASSERT_OK(node_conf_load("/nonexistent", &node, NULL));
        ASSERT_OK(sandbox_conf_parse(NULL, RUNDIR "/web/sandbox.conf", text, strlen(text), "web", node, &conf, NULL));
        ASSERT_STREQ(conf->network_namespace, CONF_NETWORK_NEW);
        ASSERT_ERROR(sandbox_conf_parse(NULL, "/etc/kata/sandboxes/web.conf", complete, strlen(complete), "web", node,
                                        &none, &message), EINVAL);
        ASSERT_CONTAINS(message, "web.conf:2: [Sandbox] NetworkNamespace=new: for callers");
}

DEFINE_TEST_MAIN
