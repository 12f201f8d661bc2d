/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The container engine of the tests: see fake-container.c. */

#include "agent/container.h"

/* The one created last; NULL once it is removed. */
extern Container *fake_last;

/*
 * The directory that stands for the cgroup of the next container; "" for none. Files in it are the test's.
 * An update with a memory limit writes it into memory.max, one of 13 bytes fails; a device rule counts.
 */
extern char fake_cgroup[64];
extern unsigned fake_device_updates, fake_device_undos;

void fake_print(Container *c, const char *out, const char *err);
void fake_exit(Container *c, int status);
/* For the end of a test that has not removed it; the loop is still there. */
void fake_forget(void);
