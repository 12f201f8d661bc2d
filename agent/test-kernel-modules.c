/* SPDX-License-Identifier: Apache-2.0 */
/* Modules of the kernel: what is refused, in which order files are loaded, and what is there already. No root. */

#include <fcntl.h>
#include <unistd.h>

#include "agent/kernel-modules.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/test.h"

#define S(text) ((char *) (uintptr_t) (text))
#define LIB "/usr/lib/modules/6.12.0-test"

static char root[64];
static char loaded[4096];
static int load_error;

static void write_at(const char *path, const char *text)
{
        char full[512], *slash;

        snprintf(full, sizeof(full), "%s%s", root, path);
        slash = strrchr(full, '/');
        *slash = '\0';
        ASSERT_OK(mkdir_p(full, 0755));
        *slash = '/';
        ASSERT_OK(write_file_atomic(full, text, strlen(text), 0644));
}

static char *read_at(const char *path)
{
        char full[512], *text;

        snprintf(full, sizeof(full), "%s%s", root, path);
        ASSERT_OK(read_file_at(AT_FDCWD, full, 4096, &text, NULL));
        return text;
}

/* A module is a file with its own name in it. */
static int load(int fd, const char *parameters, int flags)
{
        size_t n = strlen(loaded);
        _cleanup_free_ char *text = NULL;

        ASSERT_OK(read_fd_max(fd, 256, &text, NULL));
        snprintf(loaded + n, sizeof(loaded) - n, "%s(%s)%d ", text, parameters, flags);
        return load_error;
}

static int run(const char *name, const char *parameter, char **reterr_message)
{
        const KernelModulesPlace place = { root, "6.12.0-test", load };
        Grpc__KernelModule m = GRPC__KERNEL_MODULE__INIT, *list[] = { &m };
        char *parameters[] = { S(parameter) };

        m.name = S(name);
        m.parameters = parameters;
        m.n_parameters = parameter != NULL;
        loaded[0] = '\0';
        ASSERT_OK(kernel_modules_check(list, 1, NULL));
        return kernel_modules_load(&place, list, 1, reterr_message);
}

static void set_up(void)
{
        strcpy(root, "/tmp/test-modules-XXXXXX");
        ASSERT_NOT_NULL(mkdtemp(root));
}

static void with_modules(void)
{
        write_at("/proc/modules", "");
        write_at(LIB "/modules.dep",
                 "kernel/lib/low.ko:\n"
                 "kernel/lib/mid-dle.ko.xz: kernel/lib/low.ko\n"
                 "kernel/net/top.ko: kernel/lib/mid-dle.ko.xz kernel/lib/low.ko\n"
                 "kernel/net/lost.ko:\n"
                 "kernel/net/out.ko: ../../../etc/passwd\n");
        write_at(LIB "/modules.builtin", "kernel/fs/inside.ko\n");
        write_at(LIB "/kernel/lib/low.ko", "low");
        write_at(LIB "/kernel/lib/mid-dle.ko.xz", "middle");
        write_at(LIB "/kernel/net/top.ko", "top");
        load_error = 0;
}

static int check(const char *name, const char *parameter, char **reterr_message)
{
        Grpc__KernelModule m = GRPC__KERNEL_MODULE__INIT, *list[] = { &m };
        char *parameters[] = { S(parameter) };

        m.name = S(name);
        m.parameters = parameters;
        m.n_parameters = parameter != NULL;
        return kernel_modules_check(list, 1, reterr_message);
}

TEST(refused)
{
        static const struct {
                const char *name, *parameter, *part;
        } cases[] = {
                { "", NULL, "not the name of a module" },
                { "../x", NULL, "not the name" },
                { "a b", NULL, "not the name" },
                { "a.ko", NULL, "not the name" },
                { "a0123456789012345678901234567890123456789012345678901234", NULL, "not the name" },
                { "xfs", "", "'' is no parameter" },
                { "xfs", "=1", "'=1' is no parameter" },
                { "xfs", "a=1 b=2", "is no parameter" },
                { "xfs", "a=\"1\"", "is no parameter" },
                { "xfs", "a/b=1", "is no parameter" },
                { "xfs", "..=1", "is no parameter" },
                { "xfs", "a=\n", "is no parameter" },
        };
        Grpc__KernelModule m = GRPC__KERNEL_MODULE__INIT, *many[KERNEL_MODULES_MAX + 1];
        char *parameters[MODULE_PARAMETERS_MAX + 1];
        _cleanup_free_ char *message = NULL;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                ASSERT_EQ(check(cases[i].name, cases[i].parameter, &message), -EINVAL);
                ASSERT_CONTAINS(message, cases[i].part);
        }
        ASSERT_OK(check("snd-hda_intel2", "enable.a-b=0x3,,Y", NULL));

        m.name = S("xfs");
        for (size_t i = 0; i < ELEMENTSOF(many); i++)
                many[i] = &m;
        ASSERT_EQ(kernel_modules_check(many, ELEMENTSOF(many), &message), -E2BIG);
        for (size_t i = 0; i < ELEMENTSOF(parameters); i++)
                parameters[i] = S("a=1");
        m.parameters = parameters;
        m.n_parameters = ELEMENTSOF(parameters);
        ASSERT_EQ(kernel_modules_check(many, 1, &message), -E2BIG);
        ASSERT_CONTAINS(message, "kernel module xfs: more than");
}

TEST(loaded_in_order)
{
        _cleanup_free_ char *message = NULL;

        set_up();
        with_modules();
        ASSERT_OK(run("top", "size=4", NULL));
        ASSERT_STREQ(loaded, "low()0 middle()4 top(size=4)0 ");
        /* Either sign; somebody else has loaded it meanwhile. */
        load_error = -EEXIST;
        ASSERT_OK(run("mid_dle", NULL, NULL));
        ASSERT_STREQ(loaded, "low()0 middle()4 ");
        ASSERT_OK(run("low", NULL, NULL));
        ASSERT_STREQ(loaded, "low()0 ");

        load_error = -ENOEXEC;
        ASSERT_EQ(run("top", "size=4", &message), -ENOEXEC);
        ASSERT_CONTAINS(message, "kernel module top: kernel/lib/low.ko: ");
        ASSERT_EQ(run("lost", NULL, &message), -ENOENT);
        ASSERT_CONTAINS(message, "kernel module lost: kernel/net/lost.ko: No such file");
        ASSERT_EQ(run("out", NULL, &message), -EINVAL);
        ASSERT_EQ(run("other", NULL, &message), -EBUSY);
        ASSERT_CONTAINS(message, "kernel module other: ");
        ASSERT_CONTAINS(message, LIB " of the guest image does not have it");
        ASSERT_OK(rm_rf(root));
}

TEST(there_already)
{
        _cleanup_free_ char *message = NULL, *text = NULL, *flag = NULL;

        set_up();
        with_modules();
        ASSERT_OK(run("inside", NULL, NULL));
        ASSERT_STREQ(loaded, "");
        ASSERT_EQ(run("inside", "a=1", &message), -EBUSY);
        ASSERT_CONTAINS(message, "parameter a can not be changed");

        write_at("/sys/module/top/parameters/max_loop", "1");
        write_at("/sys/module/top/parameters/quiet", "N");
        ASSERT_OK(run("top", "max-loop=8", NULL));
        ASSERT_OK(run("top", "quiet", NULL));
        ASSERT_STREQ(loaded, "");
        text = read_at("/sys/module/top/parameters/max_loop");
        ASSERT_STREQ(text, "8");
        flag = read_at("/sys/module/top/parameters/quiet");
        ASSERT_STREQ(flag, "Y");
        ASSERT_EQ(run("top", "other=1", &message), -EBUSY);
        ASSERT_CONTAINS(message, "kernel module top: the kernel has it already");
        ASSERT_OK(rm_rf(root));
}

TEST(kernels_without)
{
        _cleanup_free_ char *message = NULL;

        set_up();
        ASSERT_EQ(run("xfs", NULL, &message), -EBUSY);
        ASSERT_CONTAINS(message, "kernel module xfs: the guest kernel has no loadable modules");
        write_at("/proc/modules", "");
        ASSERT_EQ(run("xfs", NULL, &message), -EBUSY);
        ASSERT_CONTAINS(message, "the guest image has no modules of this kernel");
        ASSERT_OK(rm_rf(root));
}

TEST(index)
{
        static const char *const bad[] = { "", "\n", ":", "x.ko", "a/x.kox: y\n", "/x.ko:\n", "x.ko: ../y.ko\n" };
        _cleanup_(strv_done) Strv paths = {};
        char *text = new0(char, (MODULES_MAX + 2) * 6 + 32);

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                ASSERT_TRUE(kernel_modules_find(bad[i], streq(bad[i], "x.ko") ? "y" : "x", &paths) < 0);
        ASSERT_OK(kernel_modules_find("x.ko:  a.ko   b.ko ", "x", &paths));
        ASSERT_EQ(paths.n, 3);
        ASSERT_STREQ(paths.v[0], "b.ko");
        ASSERT_STREQ(paths.v[2], "x.ko");

        strcpy(text, "x.ko:");
        for (size_t i = 0; i < MODULES_MAX; i++)
                strcat(text, " y.ko");
        ASSERT_EQ(kernel_modules_find(text, "x", &paths), -E2BIG);
        free(text);
}

DEFINE_TEST_MAIN
