/* SPDX-License-Identifier: Apache-2.0 */
/* Notifications of the guest and addresses for it. */

#include "proto/notify.h"

#include "basic/limits.h"
#include "basic/test.h"
#include "proto/agent-addr.h"

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

TEST(server_addresses)
{
        static const char *const bad[] = {
                "vsock://", "vsock://1024", "vsock://-1:0", "vsock://-1:", "vsock://-2:1024",
                "vsock://-1:1024x", "vsock://-1:4294967295", "vsock://99999999999999999:1",
                "serial://", "serial://../x", "serial://a b", "unix://", "unix://relative",
                "unix://@",
        };
        _cleanup_free_ char *text = NULL;
        AgentAddr a;
        char name[200];

        ASSERT_OK(agent_addr_parse("vsock://-1:1024", &a, NULL));
        ASSERT_EQ(a.type, AGENT_ADDR_VSOCK);
        ASSERT_EQ(a.cid, AGENT_ADDR_CID_ANY);
        ASSERT_EQ(a.port, 1024);
        ASSERT_OK(agent_addr_parse("vsock://3:1", &a, NULL));
        ASSERT_EQ(a.cid, 3);
        ASSERT_OK(agent_addr_parse("serial://agent.channel.0", &a, NULL));
        ASSERT_EQ(a.type, AGENT_ADDR_SERIAL);
        ASSERT_STREQ(a.name, "agent.channel.0");
        ASSERT_OK(agent_addr_parse("unix://@kata", &a, NULL));
        ASSERT_EQ(a.type, AGENT_ADDR_UNIX);
        ASSERT_STREQ(a.name, "@kata");
        ASSERT_OK(agent_addr_parse("unix:///run/agent.sock", &a, NULL));
        ASSERT_STREQ(a.name, "/run/agent.sock");

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                ASSERT_ERROR(agent_addr_parse(bad[i], &a, &text), EINVAL);
        ASSERT_ERROR(agent_addr_parse("tcp://1:2", &a, &text), EPROTONOSUPPORT);
        ASSERT_CONTAINS(text, "serial://");

        memset(name, 'a', sizeof(name));
        memcpy(name, "serial://", 9);
        name[9 + AGENT_ADDR_NAME_MAX] = '\0';
        ASSERT_ERROR(agent_addr_parse(name, &a, NULL), EINVAL);
        name[9 + AGENT_ADDR_NAME_MAX - 1] = '\0';
        ASSERT_OK(agent_addr_parse(name, &a, NULL));
}

TEST(notify_addresses)
{
        static const char *const bad[] = {
                "vsock:", "vsock:2", "vsock:-1:3", "vsock:4294967295:3", "vsock:2:0", "vsock:2:3:4",
                "mux:", "mux:0", "mux:-1", "mux:1 ",
        };
        AgentNotify n;

        ASSERT_OK(agent_notify_parse("vsock:2:77", &n, NULL));
        ASSERT_EQ(n.type, AGENT_NOTIFY_VSOCK);
        ASSERT_EQ(n.cid, 2);
        ASSERT_EQ(n.port, 77);
        ASSERT_OK(agent_notify_parse("mux:1029", &n, NULL));
        ASSERT_EQ(n.type, AGENT_NOTIFY_MUX);
        ASSERT_EQ(n.port, 1029);

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                ASSERT_ERROR(agent_notify_parse(bad[i], &n, NULL), EINVAL);
        ASSERT_ERROR(agent_notify_parse("/run/notify", &n, NULL), EPROTONOSUPPORT);
}

DEFINE_TEST_MAIN
