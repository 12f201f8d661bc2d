/* SPDX-License-Identifier: Apache-2.0 */
/* Node configuration in a tree of its own below /tmp; the shipped file against the table. */

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/test.h"
#include "runtime/conf/conf-tables.h"
#include "runtime/conf/node-conf.h"

static char *make_root(void)
{
        char *root = strdup("/tmp/test-node-conf-XXXXXX");

        ASSERT_NOT_NULL(root);
        ASSERT_NOT_NULL(mkdtemp(root));
        return root;
}

static void drop_root(char **root)
{
        (void) rm_rf(*root);
        free(*root);
}

#define _cleanup_root_ _cleanup_(drop_root)

static void put(const char *root, const char *path, const char *text)
{
        _cleanup_free_ char *full = NULL, *dir = NULL;

        ASSERT_TRUE(asprintf(&full, "%s%s", root, path) > 0);
        dir = ASSERT_NOT_NULL(strdup(full));
        *strrchr(dir, '/') = '\0';
        ASSERT_OK(mkdir_p(dir, 0755));
        ASSERT_OK(write_file_atomic(full, text, strlen(text), 0644));
}

#define VENDOR LIBDIR "/kata.conf"
#define ADMIN PKGSYSCONFDIR "/kata.conf"
#define DROP_IN(name) PKGSYSCONFDIR "/kata.conf.d/" name ".conf"

TEST(defaults)
{
        _cleanup_node_conf_ NodeConf *conf = NULL;
        _cleanup_root_ char *root = make_root();

        ASSERT_OK(node_conf_load(root, &conf, NULL));
        ASSERT_STREQ(conf->kernel, DATADIR "/vmlinux");
        ASSERT_STREQ(conf->user, "kata");
        ASSERT_STREQ(conf->kernel_parameters, "");
        ASSERT_NULL(conf->qemu_path);
        ASSERT_EQ(conf->memory, MIB(512));
        ASSERT_EQ(conf->vcpus, 1);
        ASSERT_EQ(conf->boot_timeout, 60 * USEC_PER_SEC);
        ASSERT_EQ(conf->accelerator, CONF_ACCELERATOR_AUTO);
        ASSERT_EQ(conf->files.n, 0);
}

TEST(order)
{
        _cleanup_node_conf_ NodeConf *conf = NULL;
        _cleanup_root_ char *root = make_root();

        put(root, VENDOR, "[Machine]\nMemory=128M\nVCPUs=7\n");
        put(root, ADMIN, "[Machine]\nMemory=256M\nTransport = serial\n[Log]\nRateLimitBurst=5\n");
        put(root, DROP_IN("20-b"), "[Machine]\nMemory=2G\n# off\n[Agent]\nLogLevel=debug\n");
        put(root, DROP_IN("10-a"), "[Machine]\nMemory=1G\nAccelerator=tcg\n[Stop]\nTimeout=1min 5s\n");
        put(root, DROP_IN("30-c"), "[Log]\nRateLimitBurst=\n");
        put(root, PKGSYSCONFDIR "/kata.conf.d/README", "not read\n");

        ASSERT_OK(node_conf_load(root, &conf, NULL));
        ASSERT_EQ(conf->memory, MIB(2048));
        ASSERT_EQ(conf->vcpus, 1); /* the administrator's file replaced the shipped one */
        ASSERT_EQ(conf->transport, CONF_TRANSPORT_SERIAL);
        ASSERT_EQ(conf->accelerator, CONF_ACCELERATOR_TCG);
        ASSERT_EQ(conf->agent_log_level, CONF_LOG_LEVEL_DEBUG);
        ASSERT_EQ(conf->stop_timeout, 65 * USEC_PER_SEC);
        ASSERT_EQ(conf->rate_limit_burst, 200000); /* empty: the default again */
        ASSERT_EQ(conf->files.n, 4);
        ASSERT_TRUE(endswith(conf->files.v[1], "10-a.conf") != NULL);
}

TEST(strings_can_be_reset)
{
        _cleanup_node_conf_ NodeConf *conf = NULL;
        _cleanup_root_ char *root = make_root();

        put(root, ADMIN, "[Machine]\nKernelParameters=quiet a=\"b # c\"\nQemuPath=/opt/qemu\n");
        put(root, DROP_IN("50-x"), "[Machine]\nQemuPath=\n");
        ASSERT_OK(node_conf_load(root, &conf, NULL));
        ASSERT_STREQ(conf->kernel_parameters, "quiet a=\"b # c\"");
        ASSERT_NULL(conf->qemu_path);

        put(root, DROP_IN("60-x"), "[Machine]\nKernelParameters=\n");
        node_conf_free(TAKE_PTR(conf));
        ASSERT_OK(node_conf_load(root, &conf, NULL));
        ASSERT_STREQ(conf->kernel_parameters, "");
}

static const struct {
        const char *text, *message;
        int error;
} bad_files[] = {
        { "[Machine]\nMemory=12X\n", "50-x.conf:2: [Machine] Memory=12X: expected whole mebibytes",
          EINVAL },
        { "\n[Machine]\nVCPUs=0\n",
          "50-x.conf:3: [Machine] VCPUs=0: expected a number from 1 to 32", EINVAL },
        { "[Machine]\nVMM=firecracker\n", "VMM=firecracker: expected qemu", EINVAL },
        { "[Image]\nKernel=vmlinux\n", "Kernel=vmlinux: expected an absolute path", EINVAL },
        { "[Agent]\nBootTimeout=0\n", "expected a time from 1s", EINVAL },
        { "[Machine]\nMemory=1G\nColour=red\n",
          "50-x.conf:3: [Machine] Colour=: unknown key; known are VMM=", EINVAL },
        { "[Machin]\nMemory=1G\n", "50-x.conf:1: [Machin]: unknown section; known are [Image], ",
          EINVAL },
        { "Memory=1G\n", "50-x.conf:1: Memory= stands before the first [Section]", EINVAL },
        { "[Machine]\nMemory=1G\nMemory=2G\n",
          "50-x.conf:3: [Machine] Memory=: given already, in line 2", EINVAL },
        { "[Machine]\nMemory=1G # much\n", "50-x.conf:2: [Machine] Memory=1G # much: expected",
          EINVAL },
        { "[Machine]\nKernelParameters=a\nb\n", "50-x.conf:3: neither [Section] nor Key=value",
          EINVAL },
        { "[Machine\nMemory=1G\n", "50-x.conf:1: ", EINVAL },
        { "[Machine]\n\nMemory\n", "50-x.conf:3: ", EINVAL },
        { "[]\n", "50-x.conf:1: ", EINVAL },
};

TEST(errors_name_the_place)
{
        for (size_t i = 0; i < ELEMENTSOF(bad_files); i++) {
                _cleanup_node_conf_ NodeConf *conf = NULL;
                _cleanup_root_ char *root = make_root();
                _cleanup_free_ char *message = NULL;

                put(root, ADMIN, "[Machine]\nMemory=1G\n");
                put(root, DROP_IN("50-x"), bad_files[i].text);
                ASSERT_EQ(node_conf_load(root, &conf, &message), -bad_files[i].error);
                ASSERT_NULL(conf);
                ASSERT_CONTAINS(message, bad_files[i].message);
                ASSERT_NULL(strchr(message, '\n'));
        }
}

TEST(files_that_are_none)
{
        _cleanup_node_conf_ NodeConf *conf = NULL;
        _cleanup_root_ char *root = make_root();
        _cleanup_free_ char *message = NULL, *path = NULL;

        put(root, DROP_IN("10-a"), "[Machine]\nMemory=1G\n");
        ASSERT_TRUE(asprintf(&path, "%s%s", root, DROP_IN("20-b")) > 0);

        ASSERT_OK(symlink("/dev/null", path));
        ASSERT_OK(node_conf_load(root, &conf, &message));
        ASSERT_EQ(conf->memory, MIB(1024));

        ASSERT_OK(unlink(path));
        ASSERT_OK(symlink("/nowhere/x", path));
        ASSERT_ERROR(node_conf_load(root, &conf, &message), ELOOP);
        ASSERT_CONTAINS(message, "20-b.conf: link to a missing file");

        ASSERT_OK(unlink(path));
        ASSERT_OK(mkdir(path, 0755));
        ASSERT_ERROR(node_conf_load(root, &conf, &message), EINVAL);
        ASSERT_CONTAINS(message, "20-b.conf: not a regular file");

        ASSERT_OK(rmdir(path));
        put(root, DROP_IN("20-b"), "");
        ASSERT_OK(truncate(path, CONFIG_FILE_MAX + 1));
        ASSERT_ERROR(node_conf_load(root, &conf, &message), EFBIG);
        ASSERT_CONTAINS(message, "20-b.conf: larger than 256 KiB");
}

TEST(programs)
{
        _cleanup_free_ char *path = NULL, *message = NULL;
        _cleanup_node_conf_ NodeConf *conf = NULL;

        ASSERT_OK(node_conf_new(&conf));
        conf->qemu_path = strdup("/nowhere/qemu");
        ASSERT_ERROR(node_conf_find_qemu(conf, &path, &message), ENOENT);
        ASSERT_CONTAINS(message, "/nowhere/qemu");
        ASSERT_CONTAINS(message, "QemuPath=");

        free(conf->qemu_path);
        conf->qemu_path = strdup("/bin/sh");
        ASSERT_OK(node_conf_find_qemu(conf, &path, &message));
        ASSERT_STREQ(path, "/bin/sh");
}

TEST(shipped_file)
{
        _cleanup_free_ char *printed = NULL, *shipped = NULL;
        _cleanup_fclose_ FILE *f = NULL;
        size_t n;

        if (!streq(DATADIR, "/usr/share/kata") || !streq(PKGSYSCONFDIR, "/etc/kata"))
                return; /* the file has the paths of an installation in /usr */

        f = ASSERT_NOT_NULL(open_memstream(&printed, &n));
        ASSERT_OK(node_conf_print_defaults(f));
        ASSERT_OK(fflush(f));
        ASSERT_OK(read_file_at(AT_FDCWD, SHIPPED_CONF, CONFIG_FILE_MAX, &shipped, NULL));
        if (!streq(printed, shipped))
                TEST_FAIL("kata.conf and its table differ; the table says:\n%s", printed);
}

/*
 * Without its comment signs the shipped file must be valid and say what the program has built in.
 */
TEST(shipped_values)
{
        _cleanup_node_conf_ NodeConf *built_in = NULL, *read = NULL;
        _cleanup_root_ char *root = make_root();
        _cleanup_free_ char *printed = NULL, *live = NULL, *message = NULL;
        _cleanup_fclose_ FILE *f = NULL;
        size_t n;
        char *o;

        f = ASSERT_NOT_NULL(open_memstream(&printed, &n));
        ASSERT_OK(node_conf_print_defaults(f));
        ASSERT_OK(fflush(f));
        o = live = ASSERT_NOT_NULL(malloc(n + 1));
        for (const char *p = printed; *p; p++)
                if (!(*p == '#' && p[1] != ' '))
                        *o++ = *p;
        *o = '\0';

        /* As it is shipped: libeconf does not like every comment. */
        put(root, VENDOR, printed);
        if (node_conf_load(root, &read, &message) < 0)
                TEST_FAIL("%s", message);
        node_conf_free(TAKE_PTR(read));

        put(root, VENDOR, live);
        ASSERT_OK(node_conf_load(root, &read, NULL));
        ASSERT_OK(node_conf_new(&built_in));
        ASSERT_EQ(read->files.n, 1);
        ASSERT_STREQ(read->image, built_in->image);
        ASSERT_EQ(read->memory, built_in->memory);
        ASSERT_EQ(read->rate_limit_interval, built_in->rate_limit_interval);
        CONF_KEY_FOREACH(k, node_conf_table) {
                ASSERT_NOT_NULL(k->accepts);
                ASSERT_NOT_NULL(k->description);
        }
}

DEFINE_TEST_MAIN
