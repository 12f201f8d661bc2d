/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Scope-bound ownership: _cleanup_ attributes, hand-over macros and the few integer helpers that every
 * file needs. No state, no side of any trust boundary.
 */

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _printf_(a, b) __attribute__((format(printf, a, b)))
#define _unused_ __attribute__((unused))
#define _noreturn_ __attribute__((noreturn))
#define _sentinel_ __attribute__((sentinel))

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

#define ELEMENTSOF(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ({ __typeof__(a) _a_ = (a); __typeof__(b) _b_ = (b); _a_ < _b_ ? _a_ : _b_; })
#define MAX(a, b) ({ __typeof__(a) _a_ = (a); __typeof__(b) _b_ = (b); _a_ > _b_ ? _a_ : _b_; })

#define container_of(ptr, type, member)                                                            \
        ((type *) (void *) ((char *) (ptr) - offsetof(type, member)))

/* Hands a pointer over: the source is visibly empty afterwards. */
#define TAKE_PTR(p)                                                                                \
        ({                                                                                         \
                __typeof__(p) *_pp_ = &(p);                                                        \
                __typeof__(p) _v_ = *_pp_;                                                         \
                *_pp_ = NULL;                                                                      \
                _v_;                                                                               \
        })

/* Hands a file descriptor over. */
#define TAKE_FD(fd)                                                                                \
        ({                                                                                         \
                int *_pf_ = &(fd);                                                                 \
                int _vf_ = *_pf_;                                                                  \
                *_pf_ = -EBADF;                                                                    \
                _vf_;                                                                              \
        })

/* Defines func##p(T *) for _cleanup_(): calls func on a non-NULL pointer. */
#define DEFINE_CLEANUP_FUNC(type, func)                                                            \
        static inline _unused_ void func##p(type *p)                                               \
        {                                                                                          \
                if (*p)                                                                            \
                        func(*p);                                                                  \
        }

static inline void freep(void *p)
{
        free(*(void **) p);
}

#define _cleanup_free_ _cleanup_(freep)

static inline void fclosep(FILE **f)
{
        if (*f)
                fclose(*f);
}

#define _cleanup_fclose_ _cleanup_(fclosep)

/* malloc and friends as expressions; NULL on overflow or lack of memory. */
#define new(t, n) ((t *) reallocarray(NULL, (n) > 0 ? (n) : 1, sizeof(t)))
#define new0(t, n) ((t *) calloc((n) > 0 ? (n) : 1, sizeof(t)))

static inline void *mfree(void *p)
{
        free(p);
        return NULL;
}

static inline bool streq(const char *a, const char *b)
{
        return strcmp(a, b) == 0;
}

static inline bool streq_ptr(const char *a, const char *b)
{
        return a && b ? streq(a, b) : a == b;
}

/* The rest of s after prefix, or NULL. */
static inline const char *startswith(const char *s, const char *prefix)
{
        size_t n = strlen(prefix);

        return strncmp(s, prefix, n) == 0 ? s + n : NULL;
}

static inline const char *endswith(const char *s, const char *suffix)
{
        size_t n = strlen(s), k = strlen(suffix);

        return n >= k && streq(s + n - k, suffix) ? s + n - k : NULL;
}

static inline bool isempty(const char *s)
{
        return !s || !*s;
}

static inline const char *strempty(const char *s)
{
        return s ? s : "";
}

/* errno as a negative value; never 0, so that a forgotten errno is still a failure. */
static inline int negative_errno(void)
{
        return errno > 0 ? -errno : -EIO;
}
