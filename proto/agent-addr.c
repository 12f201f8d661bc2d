/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses on the guest's kernel command line: see the header. Guest side. */

#include "proto/agent-addr.h"

#include "basic/error.h"
#include "basic/parse.h"

/* "CID:PORT"; -1 for any CID only if that makes sense. The ports 0 and 2^32 - 1 mean "any". */
static int parse_vsock(const char *s, bool any, uint32_t *ret_cid, uint32_t *ret_port)
{
        const char *colon = strchr(s, ':');
        char number[16];
        uint32_t cid, port;
        size_t n;

        if (!colon)
                return -EINVAL;
        n = (size_t) (colon - s);
        if (n >= sizeof(number))
                return -EINVAL;
        memcpy(number, s, n);
        number[n] = '\0';

        if (any && streq(number, "-1"))
                cid = AGENT_ADDR_CID_ANY;
        else if (parse_u32(number, &cid) < 0 || (!any && cid == AGENT_ADDR_CID_ANY))
                return -EINVAL;

        if (parse_u32(colon + 1, &port) < 0 || port == 0 || port == UINT32_MAX)
                return -EINVAL;

        *ret_cid = cid;
        *ret_port = port;
        return 0;
}

static int addr_vsock(const char *s, AgentAddr *ret)
{
        ret->type = AGENT_ADDR_VSOCK;
        return parse_vsock(s, true, &ret->cid, &ret->port);
}

static int addr_serial(const char *s, AgentAddr *ret)
{
        static const char allowed[] =
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
        size_t n = strlen(s);

        if (n == 0 || n >= sizeof(ret->name) || strspn(s, allowed) != n)
                return -EINVAL;
        ret->type = AGENT_ADDR_SERIAL;
        memcpy(ret->name, s, n + 1);
        return 0;
}

static int addr_unix(const char *s, AgentAddr *ret)
{
        size_t n = strlen(s);

        if ((s[0] != '/' && s[0] != '@') || n < 2 || n >= sizeof(ret->name))
                return -EINVAL;
        ret->type = AGENT_ADDR_UNIX;
        memcpy(ret->name, s, n + 1);
        return 0;
}

static const struct {
        const char *scheme;
        int (*parse)(const char *s, AgentAddr *ret);
} schemes[] = {
        { "vsock://",  addr_vsock  },
        { "serial://", addr_serial },
        { "unix://",   addr_unix   },
};

int agent_addr_parse(const char *s, AgentAddr *ret, char **reterr_message)
{
        AgentAddr addr = {};

        for (size_t i = 0; i < ELEMENTSOF(schemes); i++) {
                const char *rest = startswith(s, schemes[i].scheme);

                if (!rest)
                        continue;
                if (schemes[i].parse(rest, &addr) < 0)
                        return error_setf(reterr_message, EINVAL, "no valid %s address",
                                          schemes[i].scheme);
                *ret = addr;
                return 0;
        }

        return error_setf(reterr_message, EPROTONOSUPPORT,
                          "the address is none of vsock://, serial:// and unix://");
}

int agent_notify_parse(const char *s, AgentNotify *ret, char **reterr_message)
{
        AgentNotify notify = {};
        const char *rest;

        rest = startswith(s, "vsock:");
        if (rest) {
                notify.type = AGENT_NOTIFY_VSOCK;
                if (parse_vsock(rest, false, &notify.cid, &notify.port) < 0)
                        return error_setf(reterr_message, EINVAL, "no valid vsock:CID:PORT");
                *ret = notify;
                return 0;
        }

        rest = startswith(s, "mux:");
        if (rest) {
                notify.type = AGENT_NOTIFY_MUX;
                if (parse_u32(rest, &notify.port) < 0 || notify.port == 0)
                        return error_setf(reterr_message, EINVAL, "no valid mux:PORT");
                *ret = notify;
                return 0;
        }

        return error_setf(reterr_message, EPROTONOSUPPORT,
                          "the address is none of vsock:CID:PORT and mux:PORT");
}
