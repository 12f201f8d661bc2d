/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Boots a pair in a real sandbox, kata-sandbox@guest-boot-test.service, before anything else does: a
 * definition in RUNDIR/sandboxes, one container with a program of ours, started and waited for through
 * systemctl. One at a time, under the lock of slots.h.
 */

#include "basic/cleanup.h"

#define BOOT_TEST_ID "guest-boot-test"

/* Is there a service manager to ask? -EOPNOTSUPP with a text. */
int boot_test_possible(char **reterr_message);

/* 0, or the reason in words: of the guest (-EBADMSG) or of the host. Nothing is left afterwards. */
int boot_test_run(const char *dir, const char *kernel_release, char **reterr_message);

/* Ends what a program that was killed has left. */
int boot_test_clear(char **reterr_message);
