/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel command line of the guest: see cmdline.h. Written by the host, so trusted to mean well, parsed
 * strictly all the same: operators add words of their own. */

#include "agent/cmdline.h"

#include <fcntl.h>
#include <syslog.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"

#define VSOCK_CID_ANY_TEXT "-1"

typedef int (*KeyHandler)(AgentCmdline *cmdline, const char *value);

static int parse_port(const char *value, uint32_t *ret)
{
        uint32_t port;
        int r = parse_u32(value, &port);

        if (r < 0)
                return r;
        if (port == 0 || port == UINT32_MAX)
                return -ERANGE;

        *ret = port;
        return 0;
}

static bool serial_name_is_valid(const char *name)
{
        size_t n = strlen(name);

        return n > 0 && n <= SERIAL_NAME_MAX && !strchr(name, '/') && utf8_is_valid(name, n);
}

/* No abstract names: every process of this network namespace could connect to one (CVE-2020-15257). */
int agent_cmdline_set_unix(AgentCmdline *cmdline, const char *address)
{
        const char *path = startswith(address, "unix://");

        if (!path)
                path = startswith(address, "unix:");
        if (!path || path[0] != '/' || strlen(path) > LISTEN_PATH_MAX || path[strlen(path) - 1] == '/')
                return -EINVAL;

        cmdline->server_kind = ADDRESS_UNIX;
        memcpy(cmdline->listen_path, path, strlen(path) + 1);
        return 0;
}

static int set_server(AgentCmdline *cmdline, const char *value)
{
        const char *rest;
        uint32_t port;
        int r;

        rest = startswith(value, "vsock://" VSOCK_CID_ANY_TEXT ":");
        if (rest) {
                r = parse_port(rest, &port);
                if (r < 0)
                        return r;
                cmdline->server_kind = ADDRESS_VSOCK;
                cmdline->server_port = port;
                return 0;
        }

        if (startswith(value, "unix://"))
                return agent_cmdline_set_unix(cmdline, value);

        rest = startswith(value, "serial://");
        if (rest && serial_name_is_valid(rest)) {
                cmdline->server_kind = ADDRESS_SERIAL;
                memcpy(cmdline->serial_name, rest, strlen(rest) + 1);
                return 0;
        }

        return -EINVAL;
}

static int set_log_port(AgentCmdline *cmdline, const char *value)
{
        return parse_port(value, &cmdline->log_port);
}

static int set_passfd_port(AgentCmdline *cmdline, const char *value)
{
        return parse_port(value, &cmdline->passfd_port);
}

static int set_notify(AgentCmdline *cmdline, const char *value)
{
        char cid_text[16];
        const char *rest, *colon;
        uint32_t cid, port;
        int r;

        rest = startswith(value, "mux:");
        if (rest) {
                r = parse_port(rest, &port);
                if (r < 0)
                        return r;
                cmdline->notify_kind = ADDRESS_SERIAL;
                cmdline->notify_port = port;
                return 0;
        }

        rest = startswith(value, "vsock:");
        colon = rest ? strchr(rest, ':') : NULL;
        if (!colon || (size_t) (colon - rest) >= sizeof(cid_text))
                return -EINVAL;

        memcpy(cid_text, rest, (size_t) (colon - rest));
        cid_text[colon - rest] = '\0';
        r = parse_u32(cid_text, &cid);
        if (r < 0)
                return r;
        r = parse_port(colon + 1, &port);
        if (r < 0)
                return r;

        cmdline->notify_kind = ADDRESS_VSOCK;
        cmdline->notify_cid = cid;
        cmdline->notify_port = port;
        return 0;
}

/* A word without a value, as upstream has it; "=1" and "=true" are the same. */
static int set_debug_console(AgentCmdline *cmdline, const char *value)
{
        if (isempty(value)) {
                cmdline->debug_console = true;
                return 0;
        }

        return parse_bool(value, &cmdline->debug_console);
}

static int set_debug_port(AgentCmdline *cmdline, const char *value)
{
        return parse_port(value, &cmdline->debug_port);
}

static int set_debug_image(AgentCmdline *cmdline, const char *value)
{
        static const char good[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
        const char *name = startswith(value, "/dev/");

        if (isempty(name) || strlen(value) > DEBUG_DEVICE_MAX || name[strspn(name, good)] != '\0')
                return -EINVAL;

        memcpy(cmdline->debug_image, value, strlen(value) + 1);
        return 0;
}

static int set_log_level(AgentCmdline *cmdline, const char *value)
{
        static const struct {
                const char *name;
                int level;
        } levels[] = {
                { "trace", LOG_DEBUG }, { "debug", LOG_DEBUG }, { "info", LOG_INFO },
                { "warn", LOG_WARNING }, { "error", LOG_ERR }, { "critical", LOG_CRIT },
        };

        for (size_t i = 0; i < ELEMENTSOF(levels); i++)
                if (streq(value, levels[i].name)) {
                        cmdline->log_level = levels[i].level;
                        return 0;
                }

        return -EINVAL;
}

static const struct {
        const char *key;
        KeyHandler set;
        const char *expected;
        bool flag;              /* may come without a value */
} keys[] = {
        { "agent.server_addr", set_server, "vsock://-1:PORT, serial://NAME or unix:///PATH" },
        { "agent.log_vport", set_log_port, "a port number" },
        { "agent.passfd_listener_port", set_passfd_port, "a port number" },
        { "agent.notify", set_notify, "vsock:CID:PORT or mux:PORT" },
        { "agent.log", set_log_level, "trace, debug, info, warn, error or critical" },
        { "agent.debug_console", set_debug_console, "nothing, or true or false", .flag = true },
        { "agent.debug_console_vport", set_debug_port, "a port number" },
        { "agent.debug_image", set_debug_image, "a block device like /dev/dm-1" },
};

static int handle_word(AgentCmdline *cmdline, char *word, char **reterr_message)
{
        char *value;

        if (!startswith(word, "agent."))
                return 0;

        value = strchr(word, '=');
        if (value)
                *value++ = '\0';

        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                int r;

                if (!streq(word, keys[i].key))
                        continue;
                r = value || keys[i].flag ? keys[i].set(cmdline, value) : -EINVAL;
                if (r < 0)
                        return error_setf(reterr_message, r, "kernel command line: %s=%s: expected %s",
                                          word, strempty(value), keys[i].expected);
                return 0;
        }

        return error_setf(reterr_message, EOPNOTSUPP, "kernel command line: %s is not supported by "
                          "this agent", word);
}

char *cmdline_next_word(char **p)
{
        char *s = *p + strspn(*p, " \t\n"), *word = s, *out = s;
        bool quoted = false;

        if (!*s)
                return NULL;

        for (; *s && (quoted || !strchr(" \t\n", *s)); s++)
                if (*s == '"')
                        quoted = !quoted;
                else
                        *out++ = *s;

        *p = *s ? s + 1 : s;
        *out = '\0';
        return word;
}

static int check(const AgentCmdline *cmdline, char **reterr_message)
{
        if (cmdline->notify_kind != ADDRESS_NONE && cmdline->notify_kind != cmdline->server_kind)
                return error_setf(reterr_message, EINVAL, "kernel command line: agent.notify needs the "
                                  "same transport as agent.server_addr");
        if (cmdline->debug_console != (cmdline->debug_port != 0))
                return error_setf(reterr_message, EINVAL, "kernel command line: agent.debug_console and "
                                  "agent.debug_console_vport go together");

        const uint32_t ports[] = {
                cmdline->server_port, cmdline->log_port, cmdline->passfd_port, cmdline->debug_port,
        };
        for (size_t i = 0; i < ELEMENTSOF(ports); i++)
                for (size_t j = 0; j < i; j++)
                        if (ports[i] != 0 && ports[i] == ports[j])
                                return error_setf(reterr_message, EINVAL, "kernel command line: two "
                                                  "listeners of the agent have the same port");
        return 0;
}

int agent_cmdline_parse(const char *text, AgentCmdline *ret, char **reterr_message)
{
        AgentCmdline cmdline = {
                .server_kind = ADDRESS_VSOCK,
                .server_port = 1024,
                .log_level = LOG_INFO,
        };
        _cleanup_free_ char *copy = NULL;
        char *p, *word;
        int r;

        if (strnlen(text, KERNEL_CMDLINE_MAX + 1) > KERNEL_CMDLINE_MAX)
                return error_setf(reterr_message, E2BIG, "kernel command line: longer than %u bytes",
                                  KERNEL_CMDLINE_MAX);

        copy = strdup(text);
        if (!copy)
                return -ENOMEM;

        for (p = copy; (word = cmdline_next_word(&p));) {
                /* What follows belongs to the arguments of PID 1, not to the keys. */
                if (streq(word, "--"))
                        break;
                r = handle_word(&cmdline, word, reterr_message);
                if (r < 0)
                        return r;
        }

        r = check(&cmdline, reterr_message);
        if (r < 0)
                return r;

        *ret = cmdline;
        return 0;
}

int agent_cmdline_load(AgentCmdline *ret, char **reterr_message)
{
        _cleanup_free_ char *text = NULL;
        int r;

        r = read_file_at(AT_FDCWD, "/proc/cmdline", KERNEL_CMDLINE_MAX, &text, NULL);
        if (r < 0)
                return error_prefixf(reterr_message, r, "/proc/cmdline");

        return agent_cmdline_parse(text, ret, reterr_message);
}
