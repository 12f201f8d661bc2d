/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the agent's keys on the kernel command line. */

#include <sys/mount.h>
#include <syslog.h>

#include "agent/cmdline.h"
#include "agent/storage.h"
#include "basic/limits.h"
#include "basic/test.h"

static void check_error(const char *text, const char *part)
{
        _cleanup_free_ char *message = NULL;
        AgentCmdline c;

        ASSERT_TRUE(agent_cmdline_parse(text, &c, &message) < 0);
        ASSERT_CONTAINS(message, part);
}

TEST(defaults)
{
        AgentCmdline c;

        ASSERT_OK(agent_cmdline_parse("root=/dev/dm-0 ro console=hvc0", &c, NULL));
        ASSERT_EQ(c.server_kind, ADDRESS_VSOCK);
        ASSERT_EQ(c.server_port, 1024);
        ASSERT_EQ(c.log_port, 0);
        ASSERT_EQ(c.notify_kind, ADDRESS_NONE);
        ASSERT_EQ(c.log_level, LOG_INFO);
        ASSERT_OK(agent_cmdline_parse("", &c, NULL));
}

TEST(vsock)
{
        AgentCmdline c;

        ASSERT_OK(agent_cmdline_parse("agent.server_addr=vsock://-1:1024 agent.log_vport=1025 "
                                      "agent.passfd_listener_port=1027 agent.notify=vsock:2:4711 "
                                      "agent.log=info agent.log=debug", &c, NULL));
        ASSERT_EQ(c.log_port, 1025);
        ASSERT_EQ(c.passfd_port, 1027);
        ASSERT_EQ(c.notify_cid, 2);
        ASSERT_EQ(c.notify_port, 4711);
        ASSERT_EQ(c.log_level, LOG_DEBUG);
}

TEST(serial)
{
        AgentCmdline c;

        ASSERT_OK(agent_cmdline_parse("agent.server_addr=serial://agent.channel.0 agent.notify=mux:1029",
                                      &c, NULL));
        ASSERT_EQ(c.server_kind, ADDRESS_SERIAL);
        ASSERT_STREQ(c.serial_name, "agent.channel.0");
        ASSERT_EQ(c.notify_port, 1029);
}

TEST(debug)
{
        AgentCmdline c;

        ASSERT_OK(agent_cmdline_parse("agent.debug_console agent.debug_console_vport=1026 "
                                      "agent.debug_image=/dev/dm-1", &c, NULL));
        ASSERT_TRUE(c.debug_console);
        ASSERT_EQ(c.debug_port, 1026);
        ASSERT_STREQ(c.debug_image, "/dev/dm-1");
        ASSERT_OK(agent_cmdline_parse("agent.debug_console=false", &c, NULL));
        ASSERT_FALSE(c.debug_console);
        ASSERT_EQ(c.debug_port, 0);
        ASSERT_STREQ(c.debug_image, "");
}

TEST(unix_address)
{
        char big[LISTEN_PATH_MAX + 16] = "unix:///";
        AgentCmdline c;

        ASSERT_OK(agent_cmdline_parse("agent.server_addr=unix:///run/agent.sock", &c, NULL));
        ASSERT_EQ(c.server_kind, ADDRESS_UNIX);
        ASSERT_STREQ(c.listen_path, "/run/agent.sock");
        ASSERT_OK(agent_cmdline_set_unix(&c, "unix:/tmp/a"));
        ASSERT_STREQ(c.listen_path, "/tmp/a");
        ASSERT_ERROR(agent_cmdline_set_unix(&c, "unix:a"), EINVAL);
        ASSERT_ERROR(agent_cmdline_set_unix(&c, "/tmp/a"), EINVAL);
        memset(big + 8, 'a', LISTEN_PATH_MAX);
        ASSERT_ERROR(agent_cmdline_set_unix(&c, big), EINVAL);
        big[7 + LISTEN_PATH_MAX] = '\0';
        ASSERT_OK(agent_cmdline_set_unix(&c, big));
}

TEST(quotes)
{
        AgentCmdline c;

        ASSERT_OK(agent_cmdline_parse("dm-mod.create=\"vroot,,,ro,0 8 verity agent.log=debug x\" "
                                      "\"agent.log_vport=7\" x=\"a agent.evil=1\n", &c, NULL));
        ASSERT_EQ(c.log_level, LOG_INFO);
        ASSERT_EQ(c.log_port, 7);
        /* What follows -- is for init itself. */
        ASSERT_OK(agent_cmdline_parse("agent.log_vport=1 -- agent.log_vport=2 agent.nonsense", &c, NULL));
        ASSERT_EQ(c.log_port, 1);
        ASSERT_OK(agent_cmdline_parse("xagent.log_vport=1 agents=2", &c, NULL));
}

TEST(refused)
{
        char big[KERNEL_CMDLINE_MAX + 2];

        check_error("agent.log=loud", "agent.log=loud");
        check_error("agent.log", "agent.log=");
        check_error("agent.log_vport=0", "a port number");
        check_error("agent.log_vport=99999999999", "a port number");
        check_error("agent.log_vport=10x", "a port number");
        check_error("agent.hotplug_timeout", "agent.hotplug_timeout is not supported");
        check_error("agent.debug_console", "go together");
        check_error("agent.debug_console_vport=1026", "go together");
        check_error("agent.debug_console=perhaps agent.debug_console_vport=1026", "true or false");
        check_error("agent.debug_console agent.debug_console_vport=1024", "same port");
        check_error("agent.debug_image=dm-1", "block device");
        check_error("agent.debug_image=/dev/", "block device");
        check_error("agent.debug_image=/dev/../etc/passwd", "block device");
        check_error("agent.debug_image=/dev/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "block device");
        check_error("agent.server_addr=unix:/x", "unix:///PATH");
        check_error("agent.server_addr=unix://@abstract", "unix:///PATH");
        check_error("agent.server_addr=unix:///x/", "unix:///PATH");
        check_error("agent.server_addr=unix:///x agent.notify=vsock:2:3", "same transport");
        check_error("agent.server_addr=serial://../x", "serial://NAME");
        check_error("agent.server_addr=serial://", "serial://NAME");
        check_error("agent.notify=vsock:2", "vsock:CID:PORT");
        check_error("agent.notify=mux:7", "same transport");
        check_error("agent.log_vport=1024", "same port");
        memset(big, 'a', sizeof(big) - 1);
        big[sizeof(big) - 1] = '\0';
        check_error(big, "longer than");
}

DEFINE_TEST_MAIN
