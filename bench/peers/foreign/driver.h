/* What the drivers in C have in common: the message, the clock, and the lines
 * on standard input and output (internal/driver says which). */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

struct message {
	int64_t n;
	char s[24];
	int64_t what; /* one of the below */
	char rest[24];
};

enum { ANSWER, COUNT, END };

_Static_assert(sizeof(struct message) == 64, "as large as everybody's");

static void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static void request(struct message *m, int64_t i)
{
	m->n = 1000 + i;
	strcpy(m->s, "ping, 16 letters");
	m->what = ANSWER;
}

static void change(struct message *m)
{
	m->n++;
	strcpy(m->s, "pong, 16 letters");
}

static void check(const struct message *m, int64_t i)
{
	if (m->n != 1000 + i + 1 || strcmp(m->s, "pong, 16 letters") != 0) {
		fprintf(stderr, "reply %lld %s to request %lld\n", (long long)m->n, m->s, (long long)(1000 + i));
		exit(1);
	}
}

static int64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* part makes the other side: 0 in it. It dies with this process. */
static pid_t part(void)
{
	pid_t parent = getpid(), pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
	}
	return pid;
}

/* Each driver defines these; begin and end stand around a round. */
static void begin(void);
static void trip(int64_t i);
static void end(void);
static int64_t stream(int64_t n);

static void serve(void)
{
	char line[256];
	long n, pause;
	while (fgets(line, sizeof line, stdin)) {
		if (sscanf(line, "round %ld %ld", &n, &pause) == 2) {
			int64_t *took = malloc(n * sizeof *took), last, t;
			begin();
			last = now();
			for (long i = 0; i < n; i++) {
				if (pause > 0) {
					usleep(pause);
					last = now();
				}
				trip(i);
				t = now();
				took[i] = t - last;
				last = t;
			}
			end();
			for (long i = 0; i < n; i++)
				printf("%lld ", (long long)took[i]);
			putchar('\n');
			free(took);
		} else if (sscanf(line, "stream %ld", &n) == 1) {
			printf("%lld\n", (long long)stream(n));
		} else {
			fprintf(stderr, "what is %s", line);
			exit(1);
		}
		fflush(stdout);
	}
	exit(0);
}
