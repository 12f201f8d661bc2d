/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Unit tests: TEST(name) { ... } registers itself, DEFINE_TEST_MAIN runs all (or those named on the
 * command line) and prints one line each. A failed assertion prints expression and values and aborts.
 */

#include <dirent.h>
#include <inttypes.h>
#include <string.h>

#include "basic/cleanup.h"

typedef struct TestCase {
        const char *name;
        void (*run)(void);
        struct TestCase *next;
} TestCase;

extern TestCase *test_cases;

#define TEST(id)                                                                                   \
        static void test_##id(void);                                                               \
        static TestCase test_case_##id = { .name = #id, .run = test_##id };                        \
        static __attribute__((constructor)) void test_register_##id(void)                          \
        {                                                                                          \
                TestCase **p = &test_cases;                                                        \
                while (*p)                                                                         \
                        p = &(*p)->next;                                                           \
                *p = &test_case_##id;                                                              \
        }                                                                                          \
        static void test_##id(void)

#define DEFINE_TEST_MAIN                                                                           \
        TestCase *test_cases;                                                                      \
        int main(int argc, char *argv[])                                                           \
        {                                                                                          \
                unsigned n = 0;                                                                    \
                for (TestCase *t = test_cases; t; t = t->next) {                                   \
                        bool wanted = argc < 2;                                                    \
                        for (int i = 1; i < argc; i++)                                             \
                                wanted = wanted || strcmp(argv[i], t->name) == 0;                  \
                        if (!wanted)                                                               \
                                continue;                                                          \
                        fprintf(stderr, "/* %s */\n", t->name);                                    \
                        t->run();                                                                  \
                        n++;                                                                       \
                }                                                                                  \
                fprintf(stderr, "%u tests passed\n", n);                                           \
                return n > 0 ? 0 : 77;                                                             \
        }

#define TEST_FAIL(...)                                                                             \
        ({                                                                                         \
                fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);                                    \
                fprintf(stderr, __VA_ARGS__);                                                      \
                fputc('\n', stderr);                                                               \
                abort();                                                                           \
        })

#define ASSERT_TRUE(expr)                                                                          \
        ({                                                                                         \
                if (!(expr))                                                                       \
                        TEST_FAIL("not true: %s", #expr);                                          \
        })
#define ASSERT_FALSE(expr) ASSERT_TRUE(!(expr))
#define ASSERT_NULL(expr) ASSERT_TRUE((expr) == NULL)
#define ASSERT_NOT_NULL(expr)                                                                      \
        ({                                                                                         \
                __typeof__(expr) _p_ = (expr);                                                     \
                if (!_p_)                                                                          \
                        TEST_FAIL("is NULL: %s", #expr);                                           \
                _p_;                                                                               \
        })
#define ASSERT_OK(expr)                                                                            \
        ({                                                                                         \
                int64_t _r_ = (expr);                                                              \
                if (_r_ < 0)                                                                       \
                        TEST_FAIL("%s = %" PRIi64 " (%s)", #expr, _r_, strerror((int) -_r_));      \
                (int) _r_;                                                                         \
        })
#define ASSERT_ERROR(expr, error)                                                                  \
        ({                                                                                         \
                int64_t _r_ = (expr);                                                              \
                if (_r_ != -(error))                                                               \
                        TEST_FAIL("%s = %" PRIi64 ", not -%s", #expr, _r_, #error);                \
        })
#define ASSERT_EQ(a, b)                                                                            \
        ({                                                                                         \
                int64_t _a_ = (int64_t) (a), _b_ = (int64_t) (b);                                  \
                if (_a_ != _b_)                                                                    \
                        TEST_FAIL("%s = %" PRIi64 ", %s = %" PRIi64, #a, _a_, #b, _b_);            \
        })
#define ASSERT_STREQ(a, b)                                                                         \
        ({                                                                                         \
                const char *_a_ = (a), *_b_ = (b);                                                 \
                if (!_a_ || !_b_ || strcmp(_a_, _b_) != 0)                                         \
                        TEST_FAIL("%s = \"%s\", %s = \"%s\"", #a, _a_ ? _a_ : "(null)", #b,        \
                                  _b_ ? _b_ : "(null)");                                           \
        })
/* For error texts: the part that a user needs is there. */
#define ASSERT_CONTAINS(text, part)                                                                \
        ({                                                                                         \
                const char *_a_ = (text), *_b_ = (part);                                           \
                if (!_a_ || !strstr(_a_, _b_))                                                     \
                        TEST_FAIL("\"%s\" does not contain \"%s\"", _a_ ? _a_ : "(null)", _b_);    \
        })

/* Of a directory, "." and ".." included: for descriptors before and after. */
static inline unsigned count_entries(const char *path)
{
        DIR *d = ASSERT_NOT_NULL(opendir(path));
        unsigned n = 0;

        while (readdir(d))
                n++;
        closedir(d);
        return n;
}
