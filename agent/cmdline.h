/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The agent's part of the kernel command line: keys that begin with "agent.". The host writes it, the
 * kernel hands it over. Words are split as the kernel does it (next_arg() in lib/cmdline.c): blanks
 * separate, double quotes protect blanks wherever they stand in a word, so that nothing inside
 * dm-mod.create="…" is taken for a key. A key that comes twice counts once, the last wins, as in the kernel.
 */

#include "basic/limits.h"
#include "basic/parse.h"

typedef enum AddressKind {
        ADDRESS_NONE,
        ADDRESS_VSOCK,          /* vsock://-1:PORT; notify: vsock:CID:PORT */
        ADDRESS_SERIAL,         /* serial://PORTNAME; notify: mux:PORT */
        ADDRESS_UNIX,           /* unix:///PATH: for runs without a host of another machine */
} AddressKind;

#define SERIAL_NAME_MAX 64U
/* A sockaddr_un less ".PORT" and the NUL. */
#define LISTEN_PATH_MAX 96U

typedef struct AgentCmdline {
        AddressKind server_kind;
        uint32_t server_port;           /* vsock; ttrpc port in either case */
        char serial_name[SERIAL_NAME_MAX + 1];
        char listen_path[LISTEN_PATH_MAX + 1];
        uint32_t log_port;              /* 0: no log port */
        uint32_t passfd_port;           /* 0: no stdio listener */
        AddressKind notify_kind;
        uint32_t notify_cid, notify_port;
        int log_level;
        bool debug_console;
        uint32_t debug_port;                    /* 0: no debug console */
        char debug_image[DEBUG_DEVICE_MAX + 1]; /* block device of the debug extension; "": none */
} AgentCmdline;

/*
 * text: the whole line, without its newline. Unknown agent.* keys and values that do not parse are refused:
 * a typo that is ignored shows up only when the sandbox misbehaves.
 */
int agent_cmdline_parse(const char *text, AgentCmdline *ret, char **reterr_message);

/* "unix:///PATH" or "unix:/PATH": what agent.server_addr=, --listen and the environment have in common. */
int agent_cmdline_set_unix(AgentCmdline *cmdline, const char *address);

/* Reads /proc/cmdline, at most KERNEL_CMDLINE_MAX bytes. */
int agent_cmdline_load(AgentCmdline *ret, char **reterr_message);

/* Cuts the next word out of *p and removes its quotes; NULL at the end. */
char *cmdline_next_word(char **p);
