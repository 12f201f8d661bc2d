/* SPDX-License-Identifier: Apache-2.0 */
/* Notifications of the guest and addresses for it. */

#include "proto/notify.h"

#include "basic/limits.h"
#include "basic/test.h"

static int parse(const char *text, GuestNotify *ret)
{
        return guest_notify_parse(text, strlen(text), ret, NULL);
}

TEST(whole_message)
{
        _cleanup_(guest_notify_done) GuestNotify n = {};

        ASSERT_OK(parse("READY=1\nSTATUS=Serving on 1024\nX_KATA_AGENT_VERSION=0.1.0~rc1+g12\n",
                        &n));
        ASSERT_TRUE(n.ready);
        ASSERT_FALSE(n.stopping);
        ASSERT_FALSE(n.has_errno);
        ASSERT_FALSE(n.has_exit_status);
        ASSERT_STREQ(n.status, "Serving on 1024");
        ASSERT_STREQ(n.agent_version, "0.1.0~rc1+g12");
}

TEST(failure_message)
{
        _cleanup_(guest_notify_done) GuestNotify n = {};

        ASSERT_OK(parse("STOPPING=1\nERRNO=2\nEXIT_STATUS=0\nSTATUS=a=b\nSTATUS=bad \x1b[1m \xff",
                        &n));
        ASSERT_FALSE(n.ready);
        ASSERT_TRUE(n.stopping);
        ASSERT_TRUE(n.has_errno);
        ASSERT_EQ(n.error, 2);
        ASSERT_TRUE(n.has_exit_status);
        ASSERT_EQ(n.exit_status, 0);
        ASSERT_STREQ(n.status, "bad \\x1b[1m \\xff");
        ASSERT_NULL(n.agent_version);
}

TEST(foreign_keys_do_nothing)
{
        _cleanup_(guest_notify_done) GuestNotify n = {};
        const GuestNotify nothing = {};

        ASSERT_OK(parse("\n\nMAINPID=1\nFDSTORE=1\nNOTIFYACCESS=all\nready=1\n READY=1\n=1\n", &n));
        ASSERT_EQ(memcmp(&n, &nothing, sizeof(n)), 0);
        ASSERT_OK(guest_notify_parse(NULL, 0, &n, NULL));
        ASSERT_EQ(memcmp(&n, &nothing, sizeof(n)), 0);
}

TEST(bad_messages)
{
        static const char *const bad[] = {
                "READY=0", "READY=", "READY=11", "READY", "STATUS=x\nnonsense\n", "ERRNO=0",
                "ERRNO=-1", "ERRNO=4096", "ERRNO= 1", "EXIT_STATUS=256", "X_KATA_AGENT_VERSION=",
                "X_KATA_AGENT_VERSION=1 2", "X_KATA_AGENT_VERSION=\xc3\xa4",
        };
        _cleanup_free_ char *big = ASSERT_NOT_NULL(malloc(NOTIFY_MESSAGE_MAX + 2)), *text = NULL;
        GuestNotify n;

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                ASSERT_ERROR(parse(bad[i], &n), EBADMSG);
        ASSERT_ERROR(guest_notify_parse("READY=1\0", 8, &n, &text), EBADMSG);
        ASSERT_CONTAINS(text, "NUL");

        memset(big, 'x', NOTIFY_MESSAGE_MAX + 1);
        memcpy(big, "STATUS=", 7);
        big[NOTIFY_MESSAGE_MAX + 1] = '\0';
        ASSERT_ERROR(guest_notify_parse(big, NOTIFY_MESSAGE_MAX + 1, &n, &text), EMSGSIZE);
        ASSERT_OK(guest_notify_parse(big, NOTIFY_MESSAGE_MAX, &n, NULL));
        ASSERT_EQ(strlen(n.status), NOTIFY_STATUS_MAX);
        guest_notify_done(&n);
}

DEFINE_TEST_MAIN
