"""Orders and cycles, against the definition of each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typedflow.compiler import graph

GRAPHS = st.integers(1, 12).flatmap(
    lambda count: st.lists(st.sets(st.integers(0, count - 1)).map(sorted), min_size=count, max_size=count)
)


def reaches(upstreams: list[list[int]], start: int, goal: int) -> bool:
    seen, todo = set(), list(upstreams[start])
    while todo:
        node = todo.pop()
        if node == goal:
            return True
        if node not in seen:
            seen.add(node)
            todo.extend(upstreams[node])
    return False


@given(GRAPHS)
def test_the_order_has_every_node_that_can_run_after_what_it_waits_for(upstreams):
    order = graph.order(upstreams)
    in_cycle = {node for node in range(len(upstreams)) if reaches(upstreams, node, node)}
    stuck = in_cycle | {
        n for n in range(len(upstreams)) for cyclic in in_cycle if reaches(upstreams, n, cyclic)
    }
    assert set(order.nodes) == set(range(len(upstreams))) - stuck
    place = {node: i for i, node in enumerate(order.nodes)}
    assert all(place[upstream] < place[node] for node in order.nodes for upstream in upstreams[node])
    assert order.members == in_cycle


@given(GRAPHS)
def test_the_order_takes_the_first_node_that_is_ready(upstreams):
    order = graph.order(upstreams)
    for i, node in enumerate(order.nodes):
        before = set(order.nodes[:i])
        assert all(not before.issuperset(upstreams[other]) for other in range(node) if other not in before)


@given(GRAPHS)
def test_every_cycle_is_a_way_round_and_every_knot_has_one(upstreams):
    order = graph.order(upstreams)
    knots = {
        frozenset(
            n for n in order.members if n == m or (reaches(upstreams, n, m) and reaches(upstreams, m, n))
        )
        for m in order.members
    }
    assert len(order.cycles) == len(knots)
    for cycle in order.cycles:
        assert len(set(cycle)) == len(cycle)
        assert all(cycle[i - 1] in upstreams[node] for i, node in enumerate(cycle))
        assert cycle[0] == min(cycle)
    assert {next(knot for knot in knots if cycle[0] in knot) for cycle in order.cycles} == knots


@given(GRAPHS, st.data())
def test_behind_is_everything_that_waits(upstreams, data):
    start = data.draw(st.sets(st.integers(0, len(upstreams) - 1)))
    expected = {n for n in range(len(upstreams)) if any(reaches(upstreams, n, s) for s in start)}
    assert graph.behind(start, upstreams) == expected


@pytest.mark.slow
def test_a_chain_and_a_ring_of_a_hundred_thousand_nodes_need_no_recursion():
    chain = [[node + 1] for node in range(99_999)] + [[]]
    assert graph.order(chain).nodes == list(reversed(range(100_000)))
    ring = [[(node + 1) % 100_000] for node in range(100_000)]
    assert len(graph.order(ring).cycles[0]) == 100_000
