"""Instructions by kernel function: serialisation.md, 5 (v5.0), returns-and-functions.md (v6.1 to v7.3), B = 256."""

from __future__ import annotations

import re

import pytest

from sim.config import load_scenario
from sim.config.tables.kernel import Kernel
from sim.datapath import build_plan
from sim.study.runs.case import executed, with_values
from sim.study.runs.functions import instructions_of, known_functions

from .model import as_counted, lockstep
from .tolerance import PRINTED

#: Steps of one span are split by estimate, so a function may have one in a hundred of another's instructions.
SHARE = 0.01

TRANSMIT = {
    "v5.0": "copy_page_from_iter 204, handle_tx_copy 129, vhost_get_vq_desc 114, get_tx_bufs 66, translate_desc "
    "66, tun_sendmsg 58, iov_iter_advance 50, cond_resched 30, copyin 22, tun_xdp_act 22, bpf_prog 18, "
    "iov_iter_init 12",
    "v6.1": "_copy_from_iter 179, handle_tx_copy 134, copy_page_from_iter 123, vhost_get_vq_desc 108, tun_sendmsg "
    "71, translate_desc 71, get_tx_bufs 67, iov_iter_advance 36, tun_xdp_act 35, "
    "copy_user_enhanced_fast_string 21, vhost_iotlb_itree_first 17, vhost_exceeds_weight 13, "
    "iov_iter_init 12, bpf_prog 9, get_page_from_freelist 8, __get_user_nocheck_2 6",
    "v6.12": "__check_object_size 175, _copy_from_iter 162, handle_tx_copy 137, vhost_get_vq_desc 112, "
    "__virt_addr_valid 101, translate_desc 71, tun_sendmsg 70, get_tx_bufs 67, iov_iter_advance 39, "
    "__page_frag_alloc_align 38, tun_xdp_act 30, vhost_exceeds_weight 19, check_stack_object 18, "
    "vhost_iotlb_itree_first 18, netdev_core_stats_inc 15, is_vmalloc_addr 14, iov_iter_init 12, bpf_prog "
    "11, free_unref_page 10, __get_user_nocheck_2 7, free_tail_page_prepare 6, clear_page_erms 1",
    "v7.3": "handle_tx_copy 146, vhost_get_vq_desc_n 122, __check_object_size 103, _copy_from_iter 78, "
    "translate_desc 72, tun_sendmsg 71, get_tx_bufs 69, __virt_addr_valid 61, iov_iter_advance 52, "
    "__page_frag_alloc_align 40, tun_xdp_act 29, vhost_iotlb_itree_first 18, netdev_core_stats_inc 15, "
    "vhost_exceeds_weight 14, iov_iter_init 12, check_stack_object 11, bpf_prog 11, __free_frozen_pages "
    "11, __get_user_2 8, is_vmalloc_addr 7, __memcpy 6, free_tail_page_prepare 6",
}

#: Receive with mergeable buffers. What frees an skb varies from run to run, so that __slab_free (v7.3: the sheaves) has
#: the rest of a step that is a mean. v6.12: one length for the checks of pages (transmit) and of slab objects, which
#: are 15 shorter; _copy_to_iter has so many less: 240 + 73.
RECEIVE = {
    "v6.1": "_copy_to_iter 273, handle_rx 180, vhost_get_vq_desc 109, tun_do_read 106, __check_object_size 74, "
    "iov_iter_advance 72, translate_desc 71, kmem_cache_free 59, vhost_net_buf_peek 56, __kmem_cache_free "
    "55, __skb_datagram_iter 49, __virt_addr_valid 49, tun_recvmsg 47, skb_release_data 33, "
    "__check_heap_object 30, kfree 29, copy_user_enhanced_fast_string 28, skb_copy_datagram_iter 21, "
    "vhost_exceeds_weight 13, iov_iter_init 12",
    "v6.12": "_copy_to_iter+__check_object_size 313, handle_rx 180, vhost_get_vq_desc 113, tun_do_read 110, "
    "kmem_cache_free 92, iov_iter_advance 78, translate_desc 71, kfree 70, vhost_net_buf_peek 56, "
    "__virt_addr_valid 51, __check_heap_object 50, __skb_datagram_iter 49, tun_recvmsg 48, "
    "skb_release_data 36, vhost_exceeds_weight 19",
    "v7.3": "_copy_to_iter 252, handle_rx 203, tun_do_read 143, vhost_get_vq_desc_n 123, __check_object_size 111, "
    "kfree 88, kmem_cache_free 87, iov_iter_zero 79, translate_desc 72, __virt_addr_valid 61, "
    "vhost_net_buf_peek 53, iov_iter_advance 52, __check_heap_object 50, __skb_datagram_iter 49, "
    "tun_recvmsg 48, check_stack_object 28",
}
#: Which part of handle_rx stands in the steps that transmit has, too, is estimated.
RECEIVE_SHARE = 0.02


def plan_and_scenario(kernel, *overrides, access="copy_user"):
    overrides = (f"kernel={kernel}", *as_counted(kernel), *lockstep(256), "traffic.packet_bytes=64", *overrides)
    scenario = load_scenario("virtio-user-xdp1-tap", overrides=overrides)
    return build_plan(scenario, access, 64, functions=True), scenario


@pytest.mark.parametrize("kernel", TRANSMIT)
def test_transmit_executes_the_instructions_of_each_function_that_were_counted(kernel):
    built, scenario = plan_and_scenario(kernel)
    for function, counted in (text.split() for text in TRANSMIT[kernel].split(", ")):
        found = executed(built, scenario, [function])["instructions"]
        assert abs(found - float(counted)) <= PRINTED + SHARE * float(counted), function


@pytest.mark.parametrize("kernel", RECEIVE)
def test_receive_executes_the_instructions_of_each_function_that_were_counted(kernel):
    built, scenario = plan_and_scenario(kernel, "device.direction=rx")
    for functions, counted in (text.split() for text in RECEIVE[kernel].split(", ")):
        found = executed(built, scenario, functions.split("+"))["instructions"]
        assert abs(found - float(counted)) <= PRINTED + RECEIVE_SHARE * float(counted), functions


@pytest.mark.parametrize("kernel", ["v5.0", "v5.3", "v6.1", "v6.12", "v7.3"])
def test_the_instructions_of_all_functions_are_those_of_all_steps(kernel):
    built, scenario = plan_and_scenario(kernel)
    names = known_functions(built)
    whole = executed(built, scenario)["instructions"]
    assert executed(built, scenario, names)["instructions"] == pytest.approx(whole, rel=1e-12)


def test_short_copies_of_v5_0_open_their_window_in_one_routine_and_move_in_another():
    built, _ = plan_and_scenario("v5.0")
    header = next(row for row in built.rows if row.label == "header_copy")
    by_primitive = {
        part.primitive: {spent.function for spent in part.spent if spent.instructions} for part in header.components
    }
    assert by_primitive["stac"] == {"copy_user_enhanced_fast_string"}  # trace 628
    assert by_primitive["copy_loop"] == by_primitive["clac"] == {"copy_user_generic_unrolled"}  # 635..669
    assert by_primitive["access_ok"] == {"copyin"}
    assert header.waits_in == "copy_user_generic_unrolled"


@pytest.mark.parametrize(
    ("kernel", "holder"),
    [("v5.0", "vhost_get_vq_desc"), ("v6.1", "__get_user_nocheck_2"), ("v7.3", "__get_user_2")],
)
def test_the_window_of_the_avail_entry_is_the_routine_s_where_it_is_out_of_line(kernel, holder):
    built, _ = plan_and_scenario(kernel)
    head = next(row for row in built.rows if row.label == "head")
    assert head.waits_in == holder
    assert {spent.function for part in head.components if part.primitive == "load" for spent in part.spent} == {holder}


def test_a_mapped_ring_has_no_routine():
    head = next(row for row in plan_and_scenario("v6.12", access="vmap")[0].rows if row.label == "head")
    assert head.waits_in == "vhost_get_vq_desc"


def test_a_copy_that_is_inlined_with_fsrm_is_a_call_without():
    holders = {
        cpu: next(row for row in plan_and_scenario("v6.12", f"cpu={cpu}")[0].rows if row.label == "descriptor").waits_in
        for cpu in ("sapphire-rapids", "broadwell-2.6ghz")
    }
    assert holders == {"sapphire-rapids": "vhost_get_vq_desc", "broadwell-2.6ghz": "rep_movs_alternative"}


def test_the_program_is_a_function_of_its_own():
    built, scenario = plan_and_scenario("v5.0", "backend.program_instructions=50")
    assert executed(built, scenario, ["bpf_prog"])["instructions"] == pytest.approx(18 + 50)


BAD = {
    "unknown step": (
        {"functions": {"hedar_copy": {"memcpy": 1}}},
        "unknown step 'hedar_copy'; did you mean 'header_copy'",
    ),
    "too many": (
        {"functions": {"head": {"a": 20, "b": 16}}},
        "head: 36 instructions by function (a 20, b 16), it executes 35",
    ),
    "negative": ({"functions": {"head": {"a": -1}}}, "head: a has -1 instructions"),
    "unknown routine": ({"routines": {"copi": "memcpy"}}, "routines: unknown 'copi'; did you mean 'copy'"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_split_that_is_none_is_said(case):
    table, said = BAD[case]
    kernel = load_scenario("virtio-user-xdp1-tap", overrides=("kernel=v5.0",)).kernel.model_dump()
    with pytest.raises(ValueError, match=re.escape(said)):
        Kernel(**kernel | table)


def test_a_step_that_is_drawn_shorter_than_its_functions_has_less_of_each():
    _, scenario = plan_and_scenario("v5.0")
    shorter = with_values(
        scenario, {"kernel.steps.backend_packet.instructions": 5 + 47.1}
    )  # the thunk, half of the rest
    built = build_plan(shorter, "copy_user", 64, functions=True)
    assert executed(built, shorter, ["tun_xdp_act"])["instructions"] == pytest.approx(22 / 2)


@pytest.mark.parametrize("kernel", TRANSMIT)
def test_no_split_of_a_shipped_step_holds_more_than_its_accessor_leaves(kernel):
    built, scenario = plan_and_scenario(kernel)
    for row in built.rows:
        listed = scenario.kernel.functions.get(row.counted_as or "", {})
        found = {spent.function: 0.0 for part in (*row.components, *row.unit_components) for spent in part.spent}
        for function, once, each in instructions_of(row):
            found[function] += once + each
        assert all(found.get(name, 0.0) >= count - 1e-9 for name, count in listed.items()), row.label
