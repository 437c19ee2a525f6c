/* The limit: two processes that spin on shared memory, a cell in each
 * direction. Between the rounds the other side sleeps in a read of a pipe. */
#include "driver.h"
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>

struct cell {
	_Alignas(128) _Atomic uint64_t turn;
	_Alignas(64) struct message m;
};

static struct cell *there, *back;
static uint64_t turns;
static int wake[2];

static void await(struct cell *c, uint64_t turn)
{
	for (unsigned spins = 1; atomic_load_explicit(&c->turn, memory_order_acquire) != turn; spins++)
		if (spins % 16384 == 0)
			sched_yield(); /* with two CPUs the other side may be waiting for this one */
}

static void put(struct cell *c, const struct message *m)
{
	c->m = *m;
	atomic_store_explicit(&c->turn, turns, memory_order_release);
}

static void other(void)
{
	struct message m = {0};
	char c;
	while (read(wake[0], &c, 1) == 1) {
		/* Linux puts whoever is woken by a write on the writer's CPU, because
		 * it expects the writer to sleep next. This one spins: a timer wakes to
		 * a CPU that is free, if there is one. */
		usleep(1000);
		turns++;
		put(back, &m);
		do {
			await(there, ++turns);
			m = there->m;
			change(&m);
			put(back, &m);
		} while (m.what != END);
	}
	_exit(0);
}

static void exchange(struct message *m)
{
	turns++;
	put(there, m);
	await(back, turns);
	*m = back->m;
}

static void begin(void)
{
	if (write(wake[1], "", 1) != 1)
		die("write");
	await(back, ++turns);
}

static void trip(int64_t i)
{
	struct message m;
	request(&m, i);
	exchange(&m);
	check(&m, i);
}

static void end(void)
{
	struct message m = {.what = END};
	exchange(&m);
}

static int64_t stream(int64_t n)
{
	(void)n;
	return 0; /* a cell holds one message */
}

int main(void)
{
	there = mmap(NULL, 2 * sizeof *there, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (there == MAP_FAILED || pipe(wake) < 0)
		die("setup");
	back = there + 1;
	if (part() == 0) {
		close(wake[1]);
		other();
	}
	serve();
}
