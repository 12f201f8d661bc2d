/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A policy: which requests the agent in a guest carries out. kata-policy(5) describes the text. The supervisor
 * reads it to find mistakes before a machine is booted, the agent to enforce it; both with this parser. The
 * text comes from a file of the operator, or from whoever speaks to the agent: it is parsed as foreign.
 *
 * Patterns are compared to whole strings: '*' stands for any number of characters ('/' included), '?' for one,
 * backslash takes the meaning from the next character.
 */

#include "basic/cleanup.h"
#include "basic/strv.h"

/* First line of a policy that is not a comment. Rego, which upstream's agent takes, never begins like this. */
#define POLICY_HEADER "[Policy]"

typedef enum PolicyKind {
        POLICY_ALLOW,           /* Allow=: RPC */
        POLICY_IMAGE,           /* Image=: name of an image */
        POLICY_MOUNT,           /* Mount=: type, source, destination of a mount */
        POLICY_STORAGE,         /* Storage=: driver, source, mount point of a storage */
        POLICY_ENVIRONMENT,     /* Environment=: NAME=VALUE */
        POLICY_KERNEL_MODULE,   /* KernelModule=: NAME, or NAME PARAMETER... */
        _POLICY_KIND_MAX,
} PolicyKind;

#define POLICY_WORDS_MAX 3U

typedef struct PolicyRule {
        char *words[POLICY_WORDS_MAX];  /* as many as the kind has */
} PolicyRule;

typedef struct PolicyList {
        bool given;             /* the key stands in the policy, if only without a value */
        PolicyRule *rules;
        size_t n;
} PolicyList;

typedef struct Policy {
        PolicyList lists[_POLICY_KIND_MAX];
} Policy;

/*
 * Errors name the line: "line 3: ...". -EINVAL: not a policy; -E2BIG: over POLICY_SIZE_MAX or
 * POLICY_RULES_MAX. text need not end in NUL.
 */
int policy_parse(const char *text, size_t n, Policy **ret, char **reterr_message);
Policy *policy_free(Policy *policy);
DEFINE_CLEANUP_FUNC(Policy *, policy_free)

/*
 * Does the policy permit this? Kinds without a key permit everything, Allow= excepted: what it does not name is
 * refused. Words beyond those of the kind are not looked at.
 */
bool policy_permits(const Policy *policy, PolicyKind kind, const char *const words[static POLICY_WORDS_MAX]);

/* "Allow" … */
const char *policy_kind_to_string(PolicyKind kind);

bool pattern_matches(const char *pattern, const char *s);
