/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plays golden-conversation, whose bytes make-golden has put together from the published field numbers, with an
 * agent: usage test-agent-golden FILE. Answers are compared byte by byte, or taken apart here by hand.
 */

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/fake-container.h"
#include "agent/services.h"
#include "agent/test-agent-host.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/parse.h"
#include "basic/test.h"

#define FRAME_MAX 4096U
#define TEXT_LINE_MAX 8192U
#define ROUNDS 3000U
#define NAMES_MAX 64U

static const char *path;
static unsigned line_number;
static Host host;

static char *asked[NAMES_MAX];
static size_t n_asked;

static size_t from_hex(const char *text, uint8_t *ret)
{
        size_t n = strlen(text) / 2;

        ASSERT_TRUE(n <= FRAME_MAX);
        ASSERT_OK(hex_decode(text, ret, n));
        return n;
}

static void send_frame(char *words[])
{
        uint8_t frame[FRAME_MAX];
        size_t n = from_hex(words[2], frame);

        ASSERT_EQ(send(host.rpc, frame, n, MSG_NOSIGNAL), n);
        ASSERT_TRUE(n_asked < NAMES_MAX);
        asked[n_asked++] = strdup(words[1]);
}

/* The next frame of the agent, header and all. */
static size_t take_frame(uint8_t *ret)
{
        size_t n = 0, wanted = TTRPC_HEADER_SIZE;

        for (unsigned i = 0; i < ROUNDS && n < wanted; i++) {
                ssize_t k = recv(host.rpc, ret + n, wanted - n, MSG_DONTWAIT);

                if (k > 0) {
                        n += (size_t) k;
                        if (n == TTRPC_HEADER_SIZE)
                                wanted = n + ((size_t) ret[0] << 24 | (size_t) ret[1] << 16 |
                                              (size_t) ret[2] << 8 | ret[3]);
                        ASSERT_TRUE(wanted <= MIB(1));
                } else
                        run(&host, 1);
        }
        if (n < wanted)
                TEST_FAIL("%s:%u: the agent does not answer", path, line_number);
        return n;
}

static void expect_frame(char *words[])
{
        static uint8_t frame[MIB(1)];
        uint8_t wanted[FRAME_MAX];
        size_t k = from_hex(words[1], wanted), n = take_frame(frame);
        _cleanup_free_ char *hex = hex_encode(frame, n);

        if (n != k || memcmp(frame, wanted, n) != 0)
                TEST_FAIL("%s:%u: the answer is %s", path, line_number, hex);
}

static uint64_t take_varint(const uint8_t **p, const uint8_t *end)
{
        uint64_t n = 0;

        for (unsigned shift = 0; *p < end; shift += 7) {
                uint8_t byte = *(*p)++;

                n |= (uint64_t) (byte & 0x7f) << shift;
                if (!(byte & 0x80))
                        return n;
        }
        TEST_FAIL("%s:%u: a number that does not end", path, line_number);
}

/* The field of that number and wire type 2 in a message; NULL if there is none. */
static const uint8_t *find_bytes(const uint8_t *p, const uint8_t *end, uint64_t wanted, size_t *ret_n)
{
        while (p < end) {
                uint64_t key = take_varint(&p, end), n = take_varint(&p, end);

                if ((key & 7) == 0)
                        continue;
                ASSERT_EQ(key & 7, 2U);
                ASSERT_TRUE(n <= (uint64_t) (end - p));
                if (key >> 3 == wanted) {
                        *ret_n = (size_t) n;
                        return p;
                }
                p += n;
        }
        return NULL;
}

/* Status { code 1, message 2 } in field 1 of the response; its text, for whoever looks at a failure. */
static unsigned code_of(const uint8_t *p, const uint8_t *end, char ret_text[static 200])
{
        size_t n, k;
        const uint8_t *status = find_bytes(p, end, 1, &n), *text;
        const uint8_t *at = status;

        ret_text[0] = '\0';
        if (!status)
                return 0;
        text = find_bytes(status, status + n, 2, &k);
        if (text)
                snprintf(ret_text, 200, "%.*s", (int) k, (const char *) text);
        ASSERT_EQ(take_varint(&at, status + n), 0x08U);
        return (unsigned) take_varint(&at, status + n);
}

static void expect_status(char *words[], size_t n_words)
{
        static uint8_t frame[MIB(1)];
        size_t n = take_frame(frame), k = 0, size = 0;
        const uint8_t *payload;
        uint8_t wanted[FRAME_MAX];
        char text[200];
        unsigned code;

        ASSERT_EQ(frame[8], TTRPC_RESPONSE);
        ASSERT_EQ((unsigned) (frame[6] << 8 | frame[7]), (unsigned) strtoul(words[1], NULL, 10));
        code = code_of(frame + TTRPC_HEADER_SIZE, frame + n, text);
        if (streq(words[2], "*"))
                return;
        if (code != (unsigned) strtoul(words[2], NULL, 10))
                TEST_FAIL("%s:%u: the status is %u (%s)", path, line_number, code, text);
        if (n_words > 3)
                k = from_hex(words[3], wanted);
        payload = find_bytes(frame + TTRPC_HEADER_SIZE, frame + n, 2, &size);
        if (size < k || (k > 0 && memcmp(payload, wanted, k) != 0))
                TEST_FAIL("%s:%u: the answer does not begin as it should", path, line_number);
}

/* What the container, or the process that joined it last, does. */
static void happen(char *words[])
{
        if (streq(words[1], "print"))
                fake_print(fake_last, words[2], words[3]);
        else if (streq(words[1], "exit"))
                fake_exit(fake_last, (int) strtol(words[2], NULL, 10));
        else if (streq(words[1], "exec-exit"))
                fake_exec_exit(fake_exec_last, (int) strtol(words[2], NULL, 10));
        else
                TEST_FAIL("%s:%u: '%s' is no event", path, line_number, words[1]);
}

static void play(char *line)
{
        char *words[5] = {}, *save = NULL;
        size_t n = 0;

        for (char *w = strtok_r(line, " \n", &save); w && n < ELEMENTSOF(words); w = strtok_r(NULL, " \n", &save))
                words[n++] = w;
        if (n < 2 || streq(words[0], "#"))
                return;
        switch (words[0][0]) {
        case '>':
                return send_frame(words);
        case '<':
                return expect_frame(words);
        case '?':
                return expect_status(words, n);
        case '!':
                return happen(words);
        default:
                TEST_FAIL("%s:%u: what is '%s'?", path, line_number, words[0]);
        }
}

/* No RPC is left out. */
static void check_names(void)
{
        size_t n;
        const Method *methods = agent_methods(&n);

        for (size_t i = 0; i < n; i++) {
                bool found = !startswith(methods[i].service, "grpc.");

                for (size_t k = 0; k < n_asked; k++)
                        found = found || streq(asked[k], methods[i].name);
                if (!found)
                        TEST_FAIL("%s has no %s", path, methods[i].name);
        }
}

int main(int argc, char *argv[])
{
        _cleanup_fclose_ FILE *f = NULL;
        char line[TEXT_LINE_MAX];

        ASSERT_EQ(argc, 2);
        path = argv[1];
        f = ASSERT_NOT_NULL(fopen(path, "re"));
        host_start(&host);
        while (fgets(line, sizeof(line), f)) {
                line_number++;
                play(line);
        }
        check_names();
        host_stop(&host);
        for (size_t i = 0; i < n_asked; i++)
                free(asked[i]);
        return EXIT_SUCCESS;
}
