/* SPDX-License-Identifier: Apache-2.0 */
/* Plan of the debug extension, with programs of this machine in the place of the tools. No root. */

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/test.h"
#include "guest-image/debug-tree.h"

static char root[64];

static void make_root(void)
{
        static const char *const dirs[] = { "/usr", "/usr/bin", "/usr/lib" };
        char path[128];

        strcpy(root, "/tmp/test-debug-tree-XXXXXX");
        ASSERT_NOT_NULL(mkdtemp(root));
        for (size_t i = 0; i < ELEMENTSOF(dirs); i++) {
                snprintf(path, sizeof(path), "%s%s", root, dirs[i]);
                ASSERT_OK(mkdir(path, 0755));
        }
}

static int plan(Tree *tree, char **reterr_message)
{
        return debug_tree_plan(tree, root, reterr_message);
}

static const TreeFile *find(const Tree *tree, const char *path)
{
        for (size_t i = 0; i < tree->n_files; i++)
                if (streq(tree->files[i].path, path))
                        return &tree->files[i];

        return NULL;
}

static void link_program(const char *source, const char *name)
{
        char path[128];

        snprintf(path, sizeof(path), "%s/usr/bin/%s", root, name);
        ASSERT_OK(symlink(source, path));
}

TEST(names_what_is_missing)
{
        _cleanup_(tree_done) Tree tree = {};
        _cleanup_free_ char *message = NULL;

        make_root();
        ASSERT_ERROR(plan(&tree, &message), ENOENT);
        ASSERT_CONTAINS(message, "'strace' is not below");
        ASSERT_CONTAINS(message, "install package strace there");
        ASSERT_OK(rm_rf(root));
}

/* The whole of it, from the machine's own root; without the tools there is nothing to look at. */
TEST(layout)
{
        _cleanup_(tree_done) Tree tree = {};
        _cleanup_free_ char *message = NULL;
        const TreeFile *f;
        int r;

        strcpy(root, "/");
        r = plan(&tree, &message);
        if (r == -ENOENT || r == -EINVAL) {
                fprintf(stderr, "skipped: %s\n", message);
                return;
        }
        if (r < 0)
                TEST_FAIL("%s", message);

        f = ASSERT_NOT_NULL(find(&tree, "/bin/sh"));
        ASSERT_STREQ(f->target, "busybox");
        f = ASSERT_NOT_NULL(find(&tree, "/bin/busybox"));
        ASSERT_NOT_NULL(f->source);
        f = ASSERT_NOT_NULL(find(&tree, "/libexec/tc"));
        ASSERT_CONTAINS(f->origin, "bin/tc");
        f = ASSERT_NOT_NULL(find(&tree, "/bin/strace"));
        ASSERT_CONTAINS(f->text, "#!/opt/kata-debug/bin/sh\nexec /opt/kata-debug/lib/ld-linux");
        ASSERT_CONTAINS(f->text, " --argv0 strace /opt/kata-debug/libexec/strace \"$@\"\n");
        /* Not busybox's. */
        f = ASSERT_NOT_NULL(find(&tree, "/bin/ip"));
        ASSERT_NOT_NULL(f->text);
        f = ASSERT_NOT_NULL(find(&tree, "/etc/shrc"));
        ASSERT_CONTAINS(f->text, "tc() { /opt/kata-debug/bin/tc \"$@\"; }\n");
        ASSERT_NOT_NULL(find(&tree, "/libexec/gdbserver"));
        ASSERT_NOT_NULL(find(&tree, "/lib/libc.so.6"));
        for (size_t i = 1; i < tree.n_files; i++)
                ASSERT_TRUE(strcmp(tree.files[i - 1].path, tree.files[i].path) < 0);
}

TEST(busybox_must_be_static)
{
        static const char *const tools[] = { "strace", "gdbserver", "ip", "ss", "tc", "busybox" };
        _cleanup_(tree_done) Tree tree = {};
        _cleanup_free_ char *message = NULL, *self = NULL;
        char path[128];

        self = ASSERT_NOT_NULL(realpath("/proc/self/exe", NULL));
        make_root();
        for (size_t i = 0; i < ELEMENTSOF(tools); i++)
                link_program(self, tools[i]);
        /* The interpreter is looked up below the root. */
        snprintf(path, sizeof(path), "%s/lib64", root);
        ASSERT_OK(symlink("/lib64", path));
        snprintf(path, sizeof(path), "%s/usr/lib/x86_64-linux-gnu", root);
        ASSERT_OK(symlink("/usr/lib/x86_64-linux-gnu", path));

        ASSERT_ERROR(plan(&tree, &message), EINVAL);
        ASSERT_CONTAINS(message, "is not static: install package busybox-static");
        ASSERT_OK(rm_rf(root));
}

DEFINE_TEST_MAIN
