/* SPDX-License-Identifier: Apache-2.0 */
/* Whose a sandbox is: the operator's, another root's, another caller's, ours; and what a killed create leaves. */

#include <unistd.h>

#include "basic/fd.h"
#include "basic/test.h"
#include "runtime/cli/sandbox-owner.h"

static char host[64], root[96], other[96], *message;

static const char *in_host(const char *path)
{
        static char full[160];

        snprintf(full, sizeof(full), "%s%s", host, path);
        return full;
}

static void make_host(void)
{
        strcpy(host, "/tmp/test-cli-owner-XXXXXX");
        ASSERT_NOT_NULL(mkdtemp(host));
        snprintf(root, sizeof(root), "%s/root/x", host);
        snprintf(other, sizeof(other), "%s/other/x", host);
        ASSERT_OK(mkdir_p(root, 0700));
        ASSERT_OK(mkdir_p(other, 0700));
}

static void remove_host(void)
{
        ASSERT_OK(rm_rf(host));
        message = mfree(message);
}

static SandboxOwner owner(const char *of)
{
        SandboxOwner o;

        message = mfree(message);
        ASSERT_OK(sandbox_owner(host, of, "web", &o, &message));
        ASSERT_TRUE((o >= SANDBOX_FOREIGN) == (message != NULL));
        return o;
}

static void write_file(const char *path)
{
        ASSERT_OK(write_file_atomic(in_host(path), "x", 1, 0600));
}

TEST(ours_and_another_roots)
{
        make_host();
        ASSERT_EQ(owner(root), SANDBOX_NOBODYS);
        ASSERT_OK(sandbox_claim(host, root, "web", &message));
        ASSERT_OK(sandbox_claim(host, root, "web", &message));
        ASSERT_EQ(owner(root), SANDBOX_OURS);
        ASSERT_EQ(owner(other), SANDBOX_FOREIGN);
        ASSERT_CONTAINS(message, "'web' belongs to containers of --root");
        ASSERT_CONTAINS(message, "root/x: this container needs another ID");
        ASSERT_ERROR(sandbox_claim(host, other, "web", &message), EEXIST);
        ASSERT_CONTAINS(message, "belongs to containers");
        /* By another name of the same directory. */
        strcat(root, "/../x");
        ASSERT_EQ(owner(root), SANDBOX_OURS);

        /* The unit ends, and takes the directory along. */
        ASSERT_OK(rm_rf(in_host(RUNDIR "/web")));
        ASSERT_EQ(owner(root), SANDBOX_NOBODYS);
        ASSERT_OK(sandbox_claim(host, other, "web", &message));
        ASSERT_EQ(owner(root), SANDBOX_FOREIGN);
        remove_host();
}

TEST(operators)
{
        make_host();
        ASSERT_OK(mkdir_p(in_host(RUNDIR "/sandboxes"), 0755));
        ASSERT_OK(mkdir_p(in_host(PKGSYSCONFDIR "/sandboxes"), 0755));
        write_file(RUNDIR "/sandboxes/web.conf");
        ASSERT_EQ(owner(root), SANDBOX_FOREIGN);
        ASSERT_CONTAINS(message, "'web' is defined by this host's operator in");
        ASSERT_CONTAINS(message, RUNDIR "/sandboxes/web.conf");
        ASSERT_OK(unlink(in_host(RUNDIR "/sandboxes/web.conf")));

        /* Running: its unit has made the directory. */
        write_file(PKGSYSCONFDIR "/sandboxes/web.conf");
        ASSERT_OK(mkdir_p(in_host(RUNDIR "/web"), 0700));
        write_file(RUNDIR "/web/sandbox.state");
        ASSERT_EQ(owner(root), SANDBOX_FOREIGN);
        ASSERT_CONTAINS(message, PKGSYSCONFDIR "/sandboxes/web.conf");

        /* Defined while ours was there: what runs is ours. */
        ASSERT_OK(rm_rf(in_host(RUNDIR "/web")));
        ASSERT_OK(unlink(in_host(PKGSYSCONFDIR "/sandboxes/web.conf")));
        ASSERT_OK(sandbox_claim(host, root, "web", &message));
        write_file(PKGSYSCONFDIR "/sandboxes/web.conf");
        ASSERT_EQ(owner(root), SANDBOX_OURS);
        remove_host();
}

TEST(other_callers)
{
        make_host();
        ASSERT_OK(mkdir_p(in_host(RUNDIR "/web"), 0700));
        ASSERT_EQ(owner(root), SANDBOX_NOBODYS);
        write_file(RUNDIR "/web/sandbox.conf");
        ASSERT_EQ(owner(root), SANDBOX_UNMARKED);
        ASSERT_CONTAINS(message, "is another caller's, who has made");
        remove_host();
}

TEST(clear)
{
        make_host();
        ASSERT_OK(sandbox_clear(host, root, "web", &message));
        /* Killed before the mark. */
        ASSERT_OK(mkdir_p(in_host(RUNDIR "/web"), 0700));
        ASSERT_OK(sandbox_clear(host, root, "web", &message));
        ASSERT_TRUE(access(in_host(RUNDIR "/web"), F_OK) < 0);

        ASSERT_OK(sandbox_claim(host, root, "web", &message));
        write_file(RUNDIR "/web/sandbox.conf");
        ASSERT_OK(mkdir_p(in_host(RUNDIR "/web/shared/x"), 0700));
        ASSERT_OK(sandbox_clear(host, root, "web", &message));
        ASSERT_TRUE(access(in_host(RUNDIR "/web"), F_OK) < 0);
        /* What the mark leads to is another thing. */
        ASSERT_OK(access(root, F_OK));
        remove_host();
}

DEFINE_TEST_MAIN
