/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the primitives. */

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/kernel-module.h"
#include "basic/limits.h"
#include "basic/log.h"
#include "basic/parse.h"
#include "basic/pidref.h"
#include "basic/ring.h"
#include "basic/strv.h"
#include "basic/test.h"
#include "basic/unix-socket.h"

TEST(parse_numbers)
{
        uint64_t u;
        uint32_t v;
        int64_t i;

        ASSERT_OK(parse_u64("18446744073709551615", &u));
        ASSERT_TRUE(u == UINT64_MAX);
        ASSERT_ERROR(parse_u64("18446744073709551616", &u), ERANGE);
        ASSERT_ERROR(parse_u64("", &u), EINVAL);
        ASSERT_ERROR(parse_u64(" 1", &u), EINVAL);
        ASSERT_ERROR(parse_u64("+1", &u), EINVAL);
        ASSERT_ERROR(parse_u64("0x1", &u), EINVAL);
        ASSERT_ERROR(parse_u32("4294967296", &v), ERANGE);
        ASSERT_OK(parse_i64("-9223372036854775808", &i));
        ASSERT_TRUE(i == INT64_MIN);
        ASSERT_ERROR(parse_i64("9223372036854775808", &i), ERANGE);
        ASSERT_ERROR(parse_i64("--1", &i), EINVAL);
}

TEST(parse_units)
{
        uint64_t u;
        usec_t t;
        bool b;

        ASSERT_OK(parse_size("256M", &u));
        ASSERT_EQ(u, 256 << 20);
        ASSERT_ERROR(parse_size("256MB", &u), EINVAL);
        ASSERT_ERROR(parse_size("M", &u), EINVAL);
        ASSERT_ERROR(parse_size("-1", &u), EINVAL);
        ASSERT_ERROR(parse_size("18446744073709551615T", &u), ERANGE);
        ASSERT_OK(parse_usec("1min 30s", &t));
        ASSERT_EQ(t, 90 * USEC_PER_SEC);
        ASSERT_OK(parse_usec("10", &t));
        ASSERT_EQ(t, 10 * USEC_PER_SEC);
        ASSERT_OK(parse_usec("250ms", &t));
        ASSERT_EQ(t, 250 * USEC_PER_MSEC);
        ASSERT_ERROR(parse_usec("10 parsecs", &t), EINVAL);
        ASSERT_OK(parse_bool("YES", &b));
        ASSERT_TRUE(b);
        ASSERT_ERROR(parse_bool("maybe", &b), EINVAL);
}

static int collect(const char *key, char *value, void *userdata)
{
        char *seen = userdata;
        size_t n = strlen(seen);

        if (streq(key, "bad"))
                return -ERANGE;
        snprintf(seen + n, 64 - n, "<%s|%s>", key, value);
        return 1;
}

TEST(assignments)
{
        char seen[64] = "", good[] = "a=1\n\n=x=y\nb=\n", torn[] = "a=1\n\nno\nb=2", bad[] = "bad=1\nb=2", none[] = "";
        unsigned n;

        ASSERT_EQ(parse_assignments(good, collect, seen, &n), 0);
        ASSERT_STREQ(seen, "<a|1><|x=y><b|>");
        seen[0] = '\0';
        ASSERT_ERROR(parse_assignments(torn, collect, seen, &n), EINVAL);
        ASSERT_EQ(n, 3);
        ASSERT_STREQ(seen, "<a|1>");
        seen[0] = '\0';
        ASSERT_ERROR(parse_assignments(bad, collect, seen, &n), ERANGE);
        ASSERT_EQ(n, 1);
        ASSERT_EQ(parse_assignments(none, collect, seen, &n), 0);
        ASSERT_STREQ(seen, "");
}

TEST(ids)
{
        ASSERT_TRUE(id_is_valid("web", SANDBOX_ID_MAX));
        ASSERT_TRUE(id_is_valid("a.b_c-1", SANDBOX_ID_MAX));
        ASSERT_FALSE(id_is_valid("a", SANDBOX_ID_MAX));
        ASSERT_FALSE(id_is_valid("../x", SANDBOX_ID_MAX));
        ASSERT_FALSE(id_is_valid("a/b", SANDBOX_ID_MAX));
        ASSERT_FALSE(id_is_valid("", SANDBOX_ID_MAX));
        ASSERT_FALSE(id_is_valid("ns:web", SANDBOX_ID_MAX));
        ASSERT_TRUE(sandbox_name_is_valid("web"));
        ASSERT_TRUE(sandbox_name_is_valid("ns:web"));
        ASSERT_FALSE(sandbox_name_is_valid("ns:web:x1"));
        ASSERT_FALSE(id_is_valid("abcdef", 5));
}

TEST(hex)
{
        uint8_t raw[3];
        _cleanup_free_ char *s = hex_encode("\x00\xab\xff", 3);

        ASSERT_STREQ(s, "00abff");
        ASSERT_OK(hex_decode(s, raw, 3));
        ASSERT_EQ(raw[1], 0xab);
        ASSERT_ERROR(hex_decode("00ab", raw, 3), EINVAL);
        ASSERT_ERROR(hex_decode("00abfg", raw, 3), EINVAL);
}

TEST(escape)
{
        _cleanup_free_ char *a = text_escape("a\nb\0c\xffä", 8, 100);
        _cleanup_free_ char *b = text_escape("0123456789", 10, 8);
        _cleanup_free_ char *c = text_escape("ääää", 8, 6);

        ASSERT_STREQ(a, "a\\x0ab\\x00c\\xffä");
        ASSERT_STREQ(b, "01234...");
        ASSERT_TRUE(utf8_is_valid(c, strlen(c)));
        ASSERT_FALSE(utf8_is_valid("\xc0\x80", 2));
        ASSERT_FALSE(utf8_is_valid("\xed\xa0\x80", 3));
        ASSERT_TRUE(utf8_is_valid("\xf0\x9f\x98\x80", 4));
}

TEST(strv)
{
        _cleanup_(strv_done) Strv v = {}, w = {};
        _cleanup_free_ char *joined = NULL;

        ASSERT_OK(strv_split_quoted(&v, " sh -c 'echo \"$a\"' \"x y\\\"\" \\ z ''", 16));
        ASSERT_EQ(v.n, 6);
        ASSERT_STREQ(v.v[2], "echo \"$a\"");
        ASSERT_STREQ(v.v[3], "x y\"");
        ASSERT_STREQ(v.v[4], " z");
        ASSERT_STREQ(v.v[5], "");
        ASSERT_ERROR(strv_split_quoted(&w, "'open", 16), EINVAL);
        ASSERT_ERROR(strv_split_quoted(&w, "a b c", 2), E2BIG);
        joined = strv_join(&v, ",");
        ASSERT_STREQ(joined, "sh,-c,echo \"$a\",x y\", z,");
}

TEST(error_texts)
{
        _cleanup_free_ char *m = NULL;

        ASSERT_ERROR(error_setf(&m, EINVAL, "bad %s", "key"), EINVAL);
        ASSERT_ERROR(error_prefixf(&m, -EINVAL, "%s:%d", "file", 3), EINVAL);
        ASSERT_STREQ(m, "file:3: bad key");
        ASSERT_ERROR(error_setf(NULL, ENOENT, "x"), ENOENT);
}

TEST(ring_plain)
{
        Ring ring;
        size_t n;

        ASSERT_OK(ring_init(&ring, 8));
        ASSERT_OK(ring_write(&ring, "abcdef", 6));
        ASSERT_ERROR(ring_write(&ring, "ghi", 3), ENOBUFS);
        ASSERT_TRUE(memcmp(ring_peek(&ring, &n), "abcdef", 6) == 0);
        ASSERT_EQ(n, 6);
        ring_sent(&ring, 4);
        /* No acknowledgement ever: sent bytes are gone. */
        ring_rewind(&ring);
        ASSERT_OK(ring_write(&ring, "ghijkl", 6));
        ASSERT_TRUE(memcmp(ring_peek(&ring, &n), "efgh", 4) == 0);
        ASSERT_EQ(n, 4);
        ring_sent(&ring, 4);
        ASSERT_TRUE(memcmp(ring_peek(&ring, &n), "ijkl", 4) == 0);
        ring_sent(&ring, 4);
        ASSERT_TRUE(ring_is_drained(&ring));
        ring_done(&ring);
}

TEST(ring_reserve)
{
        Ring ring;
        void *p;
        size_t n;

        ASSERT_OK(ring_init(&ring, 8));
        p = ring_reserve(&ring, &n);
        ASSERT_EQ(n, 8U);
        memcpy(p, "abcdef", 6);
        ring_wrote(&ring, 6);
        (void) ring_peek(&ring, &n);
        ASSERT_EQ(n, 6U);
        ring_sent(&ring, 5);

        /* Up to the end of the memory first, then from its beginning to what is still wanted. */
        p = ring_reserve(&ring, &n);
        ASSERT_EQ(n, 2U);
        memcpy(p, "gh", 2);
        ring_wrote(&ring, 2);
        p = ring_reserve(&ring, &n);
        ASSERT_EQ(n, 5U);
        memcpy(p, "ijklm", 5);
        ring_wrote(&ring, 5);
        (void) ring_reserve(&ring, &n);
        ASSERT_EQ(n, 0U);
        ASSERT_EQ(ring_space(&ring), 0U);
        ASSERT_TRUE(memcmp(ring_peek(&ring, &n), "fgh", 3) == 0);
        ASSERT_EQ(n, 3U);
        ring_sent(&ring, 3);
        ASSERT_TRUE(memcmp(ring_peek(&ring, &n), "ijklm", 5) == 0);
        ring_done(&ring);
}

TEST(ring_resume)
{
        Ring ring;
        size_t n;

        ASSERT_OK(ring_init(&ring, 8));
        ASSERT_OK(ring_ack(&ring, 0));
        ASSERT_OK(ring_write(&ring, "abcdefgh", 8));
        ring_sent(&ring, 8);
        ASSERT_EQ(ring_space(&ring), 0);
        ASSERT_ERROR(ring_ack(&ring, 9), EBADMSG);
        ASSERT_OK(ring_ack(&ring, 3));
        ASSERT_ERROR(ring_ack(&ring, 2), EBADMSG);
        ASSERT_EQ(ring_space(&ring), 3);
        ASSERT_FALSE(ring_is_drained(&ring));
        ring_rewind(&ring);
        ASSERT_TRUE(memcmp(ring_peek(&ring, &n), "defgh", 5) == 0);
        ASSERT_EQ(n, 5);
        ring_done(&ring);
}

TEST(ring_gives_memory_back)
{
        enum { SIZE = 65536, CHUNK = 4096 };
        static uint8_t chunk[CHUNK];
        uint64_t total = 0;
        Ring ring;
        size_t n;

        memset(chunk, 'x', sizeof(chunk));
        ASSERT_OK(ring_init(&ring, SIZE));
        for (unsigned acking = 0; acking < 2; acking++) {
                for (unsigned i = 0; i < 8; i++) {
                        ASSERT_OK(ring_write(&ring, chunk, CHUNK));
                        ring_sent(&ring, CHUNK);
                        total += CHUNK;
                        if (acking)
                                ASSERT_OK(ring_ack(&ring, total));
                        /* Not while anything may be wanted again, not for a little. */
                        ring_give_back(&ring, SIZE / 4);
                        if (!acking || i == 1)
                                ASSERT_EQ(ring.data[total - CHUNK], 'x');
                }
        }
        /* 4096 and more bytes into the buffer there are whole pages, which are empty now. */
        ASSERT_EQ(ring.data[3 * CHUNK], 0);

        /* It goes on as before, around the end. */
        for (unsigned i = 0; i < 40; i++) {
                chunk[0] = (uint8_t) i;
                ASSERT_OK(ring_write(&ring, chunk, CHUNK));
                total += CHUNK;
                ASSERT_EQ(*(const uint8_t *) ring_peek(&ring, &n), i);
                ASSERT_EQ(n, CHUNK);
                ring_sent(&ring, CHUNK);
                ASSERT_OK(ring_ack(&ring, total));
                ring_give_back(&ring, SIZE / 4);
        }
        ring_done(&ring);
}

TEST(ring_late_first_ack)
{
        Ring ring;
        size_t n;

        ASSERT_OK(ring_init(&ring, 8));
        ASSERT_OK(ring_write(&ring, "abcdefgh", 8));
        ring_sent(&ring, 8);
        ASSERT_OK(ring_write(&ring, "ijkl", 4));
        ring_sent(&ring, 2);
        /* "abcd" is overwritten: the space never exceeds the ring, the replay starts at "e". */
        ASSERT_OK(ring_ack(&ring, 0));
        ASSERT_EQ(ring.acked, 4);
        ASSERT_EQ(ring_space(&ring), 0);
        ring_rewind(&ring);
        ASSERT_TRUE(memcmp(ring_peek(&ring, &n), "efgh", 4) == 0);
        ring_done(&ring);
}

TEST(files)
{
        char dir[] = "/tmp/test-basic-XXXXXX";
        _cleanup_free_ char *path = NULL, *sub = NULL, *text = NULL;
        size_t n;

        ASSERT_NOT_NULL(mkdtemp(dir));
        ASSERT_OK(asprintf(&path, "%s/file", dir));
        ASSERT_OK(asprintf(&sub, "%s/a/b/c", dir));
        ASSERT_OK(write_file_atomic(path, "x\0y", 3, 0600));
        ASSERT_ERROR(read_file_at(AT_FDCWD, path, 100, &text, NULL), EINVAL);
        ASSERT_OK(read_file_at(AT_FDCWD, path, 3, &text, &n));
        ASSERT_EQ(n, 3);
        text = mfree(text);
        ASSERT_ERROR(read_file_at(AT_FDCWD, path, 2, &text, &n), EFBIG);
        ASSERT_OK(mkdir_p(sub, 0700));
        ASSERT_OK(mkdir_p(sub, 0700));
        ASSERT_ERROR(mkdir_p(path, 0700), ENOTDIR);
        ASSERT_OK(rm_rf(dir));
        ASSERT_ERROR(access(dir, F_OK) < 0 ? -errno : 0, ENOENT);
        ASSERT_OK(rm_rf(dir));
}

TEST(kernel_modules)
{
        static const char *const bad[] = { "a.ko", "loop a=\"1\"", "../x", "loop; =1", "loop =" };
        _cleanup_(strv_done) Strv v = {}, none = {};
        char many[KERNEL_MODULES_MAX * 2 + 3];

        ASSERT_OK(kernel_modules_split(" loop  max_loop=8\tquiet ;; xfs; ", &v));
        ASSERT_EQ(v.n, 2);
        ASSERT_STREQ(v.v[0], "loop max_loop=8 quiet");
        ASSERT_STREQ(v.v[1], "xfs");
        ASSERT_OK(kernel_modules_split("", &none));
        ASSERT_EQ(none.n, 0);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                ASSERT_EQ(kernel_modules_split(bad[i], &none), -EINVAL);
        for (size_t i = 0; i + 2 < sizeof(many); i += 2)
                memcpy(many + i, "a;", 2);
        many[sizeof(many) - 1] = '\0';
        ASSERT_EQ(kernel_modules_split(many, &none), -E2BIG);
        ASSERT_TRUE(kernel_module_same_name("dm-mod", "dm_mod"));
        ASSERT_FALSE(kernel_module_same_name("dm-mod", "dm_mo"));
}

TEST(symlinks)
{
        char dir[] = "/tmp/test-basic-XXXXXX", path[64], text[32] = "";

        ASSERT_NOT_NULL(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/.link.new", dir);
        ASSERT_OK(symlink("left over", path));
        snprintf(path, sizeof(path), "%s/link", dir);
        ASSERT_OK(symlink_atomic("one", path));
        ASSERT_OK(symlink_atomic("two", path));
        ASSERT_EQ(readlink(path, text, sizeof(text) - 1), 3);
        ASSERT_STREQ(text, "two");
        ASSERT_OK(fsync_path(dir));
        ASSERT_ERROR(fsync_path(path), ELOOP);
        ASSERT_OK(unlink(path));
        /* A directory is not replaced, and nothing is left of the attempt. */
        ASSERT_OK(mkdir(path, 0755));
        ASSERT_TRUE(symlink_atomic("one", path) < 0);
        ASSERT_OK(rmdir(path));
        ASSERT_OK(rmdir(dir));
}

static unsigned count_descriptors(void)
{
        unsigned n = 0;

        for (int fd = 0; fd < 64; fd++)
                n += fcntl(fd, F_GETFD) >= 0;
        return n;
}

/* Who sends more than one has them closed: none stays open that nobody knows of. */
TEST(passed_descriptors)
{
        union {
                struct cmsghdr header;
                uint8_t room[CMSG_SPACE(2 * sizeof(int))];
        } control = {};
        struct iovec iov = { .iov_base = (char *) (uintptr_t) "x", .iov_len = 1 };
        struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
                             .msg_controllen = CMSG_SPACE(2 * sizeof(int)) };
        int pair[2], two[2], fd;
        unsigned before;
        char c;

        ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
        before = count_descriptors();
        ASSERT_EQ(unix_send_fd(pair[0], "y", 1, 0, pair[0]), 1);
        ASSERT_EQ(unix_recv_fd(pair[1], &c, 1, 0, &fd), 1);
        ASSERT_TRUE(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
        safe_close(fd);

        two[0] = two[1] = pair[0];
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(two));
        memcpy(CMSG_DATA(&control.header), two, sizeof(two));
        ASSERT_EQ(sendmsg(pair[0], &mh, MSG_NOSIGNAL), 1);
        ASSERT_EQ(unix_recv_fd(pair[1], &c, 1, 0, &fd), 1);
        safe_close(fd);
        ASSERT_EQ(count_descriptors(), before);

        ASSERT_EQ(send(pair[0], "z", 1, MSG_NOSIGNAL), 1);
        ASSERT_EQ(unix_recv_fd(pair[1], &c, 1, 0, &fd), 1);
        ASSERT_EQ(fd, -EBADF);
        ASSERT_EQ(unix_recv_fd(pair[1], &c, 1, MSG_DONTWAIT, &fd), -EAGAIN);
        safe_close(pair[0]);
        safe_close(pair[1]);
}

TEST(pidref)
{
        _cleanup_(pidref_done) PidRef ref = PIDREF_NULL;
        uint64_t t;
        int code, status;
        pid_t pid = fork();

        if (pid == 0) {
                pause();
                _exit(0);
        }
        ASSERT_TRUE(pid > 0);
        ASSERT_OK(pidref_set(&ref, pid));
        ASSERT_OK(pid_start_time(pid, &t));
        ASSERT_ERROR(pidref_reap(&ref, &code, &status), EAGAIN);
        ASSERT_OK(pidref_kill(&ref, SIGKILL));
        ASSERT_TRUE(fd_wait(ref.fd, 1, 5000) > 0);
        ASSERT_OK(pidref_reap(&ref, &code, &status));
        ASSERT_EQ(code, CLD_KILLED);
        ASSERT_EQ(status, SIGKILL);
        ASSERT_ERROR(pidref_kill(&ref, 0), ESRCH);
}

DEFINE_TEST_MAIN
