/*
 * The loop of the fast engine by hand, for a comparison of speed: a plan as the arrays that the engine packs, run in plain C.
 * `records.h` declares those arrays and the numbers that are compiled in, as the engine has them.
 * No trace is kept, and the arrival times that are known have to last.
 */
#include "records.h"

#define INLINE static inline __attribute__((always_inline))

INLINE int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }
INLINE int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }

INLINE int64_t *count_of(struct arrays *a, int64_t number, int64_t column)
{
	return a->counts + number * a->count_columns + column;
}

static uint64_t mixed(uint64_t word)
{
	word = (word ^ word >> SHIFT_1) * FIRST_FACTOR;
	word = (word ^ word >> SHIFT_2) * SECOND_FACTOR;
	return word ^ word >> SHIFT_3;
}

/* -- events -- */

INLINE void schedule(struct arrays *a, struct actor *me, int64_t due_ps, int64_t phase)
{
	me->phase = phase;
	me->due_ps = due_ps;
	if (a->fixed->fuzz) {
		uint64_t word = mixed((uint64_t)a->fixed->fuzz_start + (uint64_t)a->totals->scheduled++ * GAMMA);
		me->priority = me->rank + 1 + (int64_t)(word >> PRIORITY_SHIFT) * a->actor_rows;
	}
}

/* The actor of the next event; `another_ps` becomes when one of another actor is due. */
INLINE int64_t next_actor(const struct arrays *a, int64_t *another_ps)
{
	int64_t first = NOBODY, due_ps = NEVER, priority = NEVER, second_ps = NEVER;
	for (int64_t number = 0; number < a->actor_rows; number++) {
		const struct actor *other = a->actors + number;
		if (other->due_ps < due_ps || (other->due_ps == due_ps && other->priority < priority && due_ps != NEVER)) {
			second_ps = due_ps;
			first = number;
			due_ps = other->due_ps;
			priority = other->priority;
		} else {
			second_ps = min64(second_ps, other->due_ps);
		}
	}
	*another_ps = second_ps;
	return first;
}

INLINE int holds(const struct arrays *a, const struct test *test)
{
	uint64_t difference = (uint64_t)a->registers[test->left] - (uint64_t)a->registers[test->right];
	return difference - (uint64_t)test->low <= (uint64_t)test->span;
}

INLINE int ready(const struct arrays *a, const struct segment *segment)
{
	return segment->condition == NOBODY || holds(a, a->tests + segment->condition);
}

static void wake_others(struct arrays *a, int64_t actor, int64_t now)
{
	for (int64_t number = 0; number < a->actor_rows; number++) {
		struct actor *other = a->actors + number;
		if (other->phase == PHASE_ASLEEP && number != actor && ready(a, a->segments + other->segment))
			schedule(a, other, now, PHASE_ARRIVED);
	}
}

static int64_t size_class(const struct arrays *a, int64_t packet)
{
	uint64_t draw = mixed((uint64_t)a->fixed->sizes_start + (uint64_t)packet * GAMMA) >> (64 - DRAW_BITS);
	int64_t reached = 0;
	while (reached < a->class_bound_rows && (int64_t)draw >= a->class_bounds[reached])
		reached++;
	return reached;
}

/* -- cache lines -- */

/* The place of an access that a mask finds, in bytes of its region. */
INLINE int64_t masked(const struct arrays *a, int64_t index, int64_t scale, int64_t plus, int64_t mask)
{
	return (a->registers[index] * scale + plus) & mask;
}

/* The lines of an access up to the end of the ring, and those at its front that it meets behind it. */
struct span {
	int64_t first, last, front, front_last;
};

INLINE struct span span_of(const struct arrays *a, const struct access *access)
{
	int64_t index = a->registers[access->index], length = access->bytes;
	if (access->counted) {
		int64_t count = a->registers[access->count];
		index -= count;
		length *= count;
	}
	int64_t position = index * access->times + access->plus;
	if (access->modulo & (access->modulo - 1))
		position = (position % access->modulo + access->modulo) % access->modulo;
	else
		position &= access->modulo - 1;
	int64_t start = access->offset + position * access->stride, beyond = start + length, over = beyond - access->end;
	struct span span = { .front = 0, .front_last = -1 };
	if (over > 0)
		beyond = access->end;
	span.first = access->first_line + (start >> LINE_SHIFT);
	span.last = access->first_line + ((beyond - 1) >> LINE_SHIFT);
	if (over > 0) {
		span.front = access->first_line + (access->offset >> LINE_SHIFT);
		span.front_last = min64(span.first - 1, access->first_line + ((access->offset + over - 1) >> LINE_SHIFT));
	}
	return span;
}

INLINE int64_t waited(struct arrays *a, struct actor *me, int64_t number, int64_t kind, int64_t price)
{
	int64_t exposed = a->exposed_ps[number * a->exposed_columns + price], paid = me->overlap_paid_ps;
	int64_t wait = max64(0, exposed - paid);
	if (kind == WAIT_TRANSFER && paid)
		wait = max64(wait, a->fixed->stream_ps);
	me->overlap_paid_ps = max64(paid, exposed);
	*count_of(a, number, COUNT_WAITS_PS + kind) += wait;
	++*count_of(a, number, COUNT_WAIT_EVENTS + kind);
	return wait;
}

/* Kinds are told apart by where the code goes, which a compiler must not turn into a choice of numbers. */
INLINE int64_t read_line(struct arrays *a, struct actor *me, int64_t actor, const struct segment *segment, int64_t number, int64_t line)
{
	int64_t mine = (int64_t)1 << actor;
	struct line *state = a->lines + line;
	int64_t before = a->last_lines[number];
	a->last_lines[number] = line;
	if (state->holders & mine) {
		if (before != line)
			return waited(a, me, number, WAIT_FAR_HIT, WAIT_FAR_HIT);
		__asm__ volatile("");
		return waited(a, me, number, WAIT_NEAR_HIT, WAIT_NEAR_HIT);
	}
	state->holders |= mine;
	if (state->owner == NOBODY)
		return waited(a, me, number, WAIT_CLEAN, WAIT_CLEAN);
	if (segment->brings_next) {
		int64_t owner = state->owner;
		if (owner >> COMING_SHIFT == actor + 1) {
			state->owner = NOBODY;
			return waited(a, me, number, WAIT_TRANSFER, PREFETCHED);
		}
		if (state[1].owner != NOBODY)
			state[1].owner = (state[1].owner & (((int64_t)1 << COMING_SHIFT) - 1)) | (actor + 1) << COMING_SHIFT;
	}
	state->owner = NOBODY;
	return waited(a, me, number, WAIT_TRANSFER, WAIT_TRANSFER);
}

INLINE int64_t read_lines(struct arrays *a, struct actor *me, int64_t actor, const struct segment *segment, int64_t number)
{
	if (segment->read == IN_SEGMENT) {
		int64_t start = segment->read_offset + masked(a, segment->read_index, segment->read_scale, segment->read_plus, segment->read_mask);
		int64_t first = segment->read_line + (start >> LINE_SHIFT), last = segment->read_line + ((start + segment->read_last) >> LINE_SHIFT);
		int64_t wait = read_line(a, me, actor, segment, number, first);
		return first == last ? wait : wait + read_line(a, me, actor, segment, number, last);
	}
	struct span span = span_of(a, a->accesses + segment->read);
	int64_t total = 0;
	for (int64_t line = span.first; line <= span.last; line++)
		total += read_line(a, me, actor, segment, number, line);
	for (int64_t line = span.front; line <= span.front_last; line++)
		total += read_line(a, me, actor, segment, number, line);
	return total;
}

INLINE void write_line(struct arrays *a, struct actor *me, int64_t actor, int64_t line, int64_t now)
{
	struct line *state = a->lines + line;
	int64_t mine = (int64_t)1 << actor;
	if (state->owner != actor && state->holders & ~mine) {
		int64_t done = me->stores_done_ps;
		me->stores_done_ps = done > now ? done + a->fixed->stream_ps : now + a->fixed->transfer_ps;
	}
	state->owner = actor;
	state->holders = mine;
}

INLINE void write_lines(struct arrays *a, struct actor *me, int64_t actor, const struct segment *segment, int64_t now)
{
	const struct fixed *fixed = a->fixed;
	if (segment->write == IN_SEGMENT) {
		int64_t start = segment->write_offset + masked(a, segment->write_index, segment->write_scale, segment->write_plus, segment->write_mask);
		int64_t first = segment->write_line + (start >> LINE_SHIFT), last = segment->write_line + ((start + segment->write_last) >> LINE_SHIFT);
		write_line(a, me, actor, first, now);
		if (first != last)
			write_line(a, me, actor, last, now);
	} else {
		struct span span = span_of(a, a->accesses + segment->write);
		for (int64_t line = span.first; line <= span.last; line++)
			write_line(a, me, actor, line, now);
		for (int64_t line = span.front; line <= span.front_last; line++)
			write_line(a, me, actor, line, now);
	}
	int64_t full_at = now + fixed->transfer_ps + (fixed->store_buffer - 1) * fixed->stream_ps;
	me->store_stall_ps += max64(0, me->stores_done_ps - full_at);
}

/* -- packets -- */

static void take_arrived(struct arrays *a, int64_t now)
{
	int64_t *registers = a->registers, before = a->totals->arrivals_from;
	int64_t arrived = max64(registers[REGISTER_ARRIVED], before);
	while (a->arrivals[arrived - before] <= now)
		arrived++;
	registers[REGISTER_ARRIVED] = arrived;
	int64_t waiting = arrived - registers[REGISTER_TAKEN], over = max64(0, waiting - a->fixed->backlog);
	registers[REGISTER_DROPPED] += over;
	registers[REGISTER_TAKEN] += over;
	registers[REGISTER_BURST_LEFT] = max64(1, min64(registers[REGISTER_BURST_LEFT], waiting - over));
}

INLINE void note_ring(struct arrays *a, int64_t now)
{
	struct total *totals = a->totals;
	int64_t occupied = totals->occupied, elapsed = now - totals->occupied_since_ps;
	int64_t low = totals->occupied_low + occupied * (elapsed & (((int64_t)1 << OCCUPIED_SHIFT) - 1));
	totals->occupied_high += occupied * (elapsed >> OCCUPIED_SHIFT) + (low >> OCCUPIED_SHIFT);
	totals->occupied_low = low & (((int64_t)1 << OCCUPIED_SHIFT) - 1);
	totals->occupied_since_ps = now;
	totals->occupied = a->registers[REGISTER_RING_AVAIL_IDX] - a->registers[REGISTER_RING_USED_IDX];
	totals->most_occupied = max64(totals->most_occupied, totals->occupied);
}

INLINE void mark_posted(struct arrays *a, int64_t now)
{
	struct total *totals = a->totals;
	int64_t posted = a->registers[a->fixed->posted], mask = a->posted_at_ps_rows - 1;
	for (int64_t packet = totals->marked_posted; packet < posted; packet++)
		a->posted_at_ps[packet & mask] = now;
	totals->marked_posted = posted;
	totals->most_in_flight = max64(totals->most_in_flight, posted - totals->marked_used);
}

INLINE int64_t bucket_of(int64_t value)
{
	int64_t sub = (int64_t)1 << SUB_BITS;
	if (value < sub)
		return max64(0, value);
	int64_t octave = 63 - __builtin_clzll((uint64_t)value) - SUB_BITS;
	return min64((octave + 1) * sub + (value >> octave) - sub, LAST_BUCKET);
}

INLINE void mark_used(struct arrays *a, int64_t now)
{
	struct total *totals = a->totals;
	int64_t used = a->registers[a->fixed->used], mask = a->posted_at_ps_rows - 1, before = -1, place = 0;
	for (int64_t packet = totals->marked_used; packet < used; packet++) {
		int64_t latency = now - a->posted_at_ps[packet & mask];
		if (latency != before) {
			place = bucket_of(before = latency);
			totals->first_bucket = min64(totals->first_bucket, place);
			totals->last_bucket = max64(totals->last_bucket, place);
		}
		a->histogram[place]++;
	}
	totals->marked_used = used;
}

/* -- one row -- */

static int64_t units_and_class_ps(struct arrays *a, const struct segment *segment, int64_t number)
{
	int64_t units = a->registers[segment->unit], class_ps = 0;
	*count_of(a, number, COUNT_UNITS) += units;
	if (segment->classes_from != NOBODY) {
		int64_t of_packet = size_class(a, a->registers[a->fixed->handled]);
		class_ps = a->class_costs[segment->classes_from + of_packet];
		++*count_of(a, number, COUNT_CLASSES + of_packet);
	}
	return class_ps + units * segment->unit_ps;
}

INLINE int64_t begin(struct arrays *a, struct actor *me, int64_t actor, const struct segment *segment, int64_t number, int64_t now)
{
	int64_t duration = me->store_stall_ps;
	if (segment->drains_stores)
		duration += max64(0, me->stores_done_ps - now);
	if (duration) {
		me->store_stall_ps = 0;
		*count_of(a, number, COUNT_WAITS_PS + WAIT_STORES) += duration;
		++*count_of(a, number, COUNT_WAIT_EVENTS + WAIT_STORES);
	}
	duration += segment->cost_ps;
	if (segment->waits_before)
		me->overlap_paid_ps = 0;
	if (segment->sample_target != segment->sample_source)
		a->registers[segment->sample_target] = a->registers[segment->sample_source];
	if (segment->asks_at_start)
		duration += units_and_class_ps(a, segment, number);
	if (segment->read != NOBODY)
		duration += read_lines(a, me, actor, segment, number);
	if (segment->waits_after)
		me->overlap_paid_ps = 0;
	++*count_of(a, number, COUNT_EXECUTIONS);
	return duration;
}

static void finish_more(struct arrays *a, const struct segment *segment, int64_t now)
{
	int64_t *registers = a->registers;
	for (int64_t row = segment->changes_from; row < segment->changes_to; row++) {
		const struct change *change = a->changes + row;
		int64_t value = registers[change->target] * change->kept + registers[change->source] * change->factor;
		registers[change->target] = value + (value <= change->limit ? change->constant : 0);
	}
	if (segment->fills_ring)
		note_ring(a, now);
	if (segment->takes_arrivals)
		take_arrived(a, now);
	if (segment->marks == MARK_POSTED)
		mark_posted(a, now);
	else if (segment->marks == MARK_USED)
		mark_used(a, now);
}

INLINE int64_t finish(struct arrays *a, struct actor *me, int64_t actor, const struct segment *segment, int64_t now)
{
	if (segment->write != NOBODY)
		write_lines(a, me, actor, segment, now);
	for (int64_t row = segment->adds_from; row < segment->adds_to; row++)
		a->registers[a->additions[row].target] += a->additions[row].constant;
	if (segment->more_at_end)
		finish_more(a, segment, now);
	for (int64_t row = segment->jumps_from; row < segment->jumps_to; row++)
		if (holds(a, a->tests + row))
			return a->tests[row].target;
	return segment->following;
}

/* Bring an actor as far into its next row as it gets now; 1 where the row runs. */
INLINE int go_on(struct arrays *a, struct actor *me, int64_t actor, int64_t number, int64_t now, int64_t phase)
{
	const struct segment *segment = a->segments + number;
	if (segment->asks_at_start && phase != PHASE_EXPECTING) {
		if (phase == PHASE_RUNNING)
			me->arrived_ps = now;
		if (!ready(a, segment)) {
			me->phase = PHASE_ASLEEP;
			me->due_ps = NEVER;
			return 0;
		}
		if (segment->takes_arrivals) {
			int64_t place = a->registers[REGISTER_TAKEN] - a->totals->arrivals_from;
			int64_t due_ps = place >= 0 ? a->arrivals[place] : 0;
			if (due_ps > now) {
				schedule(a, me, due_ps, PHASE_EXPECTING);
				return 0;
			}
		}
	}
	if (phase != PHASE_RUNNING)
		*count_of(a, number, COUNT_WAITS_PS + WAIT_BLOCKED) += now - me->arrived_ps;
	schedule(a, me, now + begin(a, me, actor, segment, number, now), PHASE_RUNNING);
	return 1;
}

/* Simulate until `target` packets are used; 0, or 1 where no actor can go on, or known arrivals or simulated time are over. */
int simulate(struct arrays *a, int64_t target)
{
	struct total *totals = a->totals;
	int64_t too_late = a->arrival_rows ? a->arrivals[a->arrival_rows - 1] : LAST_PS + 1;
	if (!totals->started) {
		totals->started = 1;
		for (int64_t actor = 0; actor < a->actor_rows; actor++)
			go_on(a, a->actors + actor, actor, a->actors[actor].segment, 0, PHASE_ARRIVED);
	}
	while (totals->marked_used < target) {
		int64_t another_ps, actor = next_actor(a, &another_ps);
		if (actor == NOBODY || a->actors[actor].due_ps >= too_late)
			return 1;
		struct actor *me = a->actors + actor;
		int64_t now = me->due_ps, number = me->segment, alone_until = min64(another_ps, too_late);
		totals->now_ps = now;
		int runs = me->phase == PHASE_RUNNING;
		if (!runs) {
			runs = go_on(a, me, actor, number, now, me->phase);
			now = me->due_ps;
			runs = runs && now < alone_until;
		}
		while (runs && totals->marked_used < target) {
			totals->now_ps = now;
			const struct segment *segment = a->segments + number;
			number = me->segment = finish(a, me, actor, segment, now);
			totals->sequence++;
			if (segment->wakes) {
				wake_others(a, actor, now);
				alone_until = now;
			}
			runs = go_on(a, me, actor, number, now, PHASE_RUNNING);
			now = me->due_ps;
			runs = runs && now < alone_until;
		}
	}
	return 0;
}
