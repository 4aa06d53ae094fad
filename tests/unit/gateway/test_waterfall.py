from gateway.domain.waterfall import Span, lay_out


def a_span(span: str, parent: str | None, start: int, end: int, **facts: str) -> Span:
    return Span("t", span, parent, facts.get("name", span), facts.get("service", "intake"), start, end)


def test_children_follow_their_parent_in_the_order_they_began() -> None:
    picture = lay_out([a_span("c", "a", 50, 60), a_span("a", None, 0, 100), a_span("b", "a", 10, 30)])
    assert picture is not None
    assert [(bar.span.span_id, bar.depth) for bar in picture.bars] == [("a", 0), ("b", 1), ("c", 1)]
    assert (picture.bars[1].left, picture.bars[1].width) == (0.1, 0.2)


def test_a_span_whose_parent_is_elsewhere_is_a_root() -> None:
    picture = lay_out([a_span("a", "client", 0, 10)])
    assert picture is not None
    assert picture.bars[0].depth == 0


def test_a_ring_and_a_copy_do_not_hang_it() -> None:
    ring = [a_span("a", "b", 0, 1), a_span("b", "a", 0, 1)]
    assert lay_out([*ring, a_span("c", None, 0, 5), a_span("c", None, 0, 5)]) is not None
    assert lay_out(ring) is not None
    assert lay_out([a_span("x", "x", 0, 1)]) is not None


def test_nothing_is_no_picture_and_much_is_cut_with_a_count() -> None:
    assert lay_out([]) is None
    many = lay_out([a_span(str(n), None, n, n + 1) for n in range(20)], limit=5)
    assert many is not None
    assert (len(many.bars), many.hidden) == (5, 15)


def test_a_span_without_length_has_a_place() -> None:
    picture = lay_out([a_span("a", None, 5, 5)])
    assert picture is not None
    assert picture.bars[0].width == 0
