/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The container engine of the tests: see fake-container.c. */

#include "agent/container-exec.h"
#include "agent/container.h"

/* The one created last; NULL once it is removed. */
extern Container *fake_last;

/*
 * The directory that stands for the cgroup of the next container; "" for none. Files in it are the test's.
 * An update with a memory limit writes it into memory.max, one of 13 bytes fails; a device rule counts.
 */
extern char fake_cgroup[64];
extern unsigned fake_device_updates, fake_device_undos;

/* Of the last container that was created with an extension, and of the last update with one: "FILE=VALUE". */
extern char fake_domainname[65];
extern char fake_unified[64];

void fake_print(Container *c, const char *out, const char *err);
void fake_exit(Container *c, int status);
/* For the end of a test that has not removed it; the loop is still there. */
void fake_forget(void);
Loop *fake_loop(const Container *c);

/* Processes that joined, see fake-container-exec.c: the newest, and how many there are. */
extern ContainerExec *fake_exec_last;
extern unsigned fake_execs;
/* Of the newest; -1 for none. */
extern int fake_exec_umask;

void fake_exec_print(ContainerExec *e, const char *out, const char *err);
/* What it reads its input from. */
int fake_exec_stdin(ContainerExec *e);
void fake_exec_exit(ContainerExec *e, int status);
