"""Which agencies the law names at once for each kind of alert: by hand from the joint order, not asked."""

from tests.acceptance.kill.checker import World
from tests.acceptance.kill.client import Kind

POLICE = "internal-affairs-kz-75"
BODY = "regional-child-rights-body-kz-75"
COMMISSIONER = "regional-child-ombudsman-kz-75"
MOBILE_GROUP = "family-mobile-group-kz-75"
CABINET = "child-violence-help-cabinet-kz-75"
AUTHORITY = "child-rights-authority-kz"
NATIONAL_COMMISSIONER = "national-child-ombudsman-kz"

KINDS = [
    Kind(
        "violence",
        {"territory": "KZ-75", "concerns": ["violence"], "alleged_offender": {"relation": "other_adult"}},
    ),
    Kind(
        "bullying", {"territory": "KZ-75", "concerns": ["bullying"], "alleged_offender": {"relation": "peer"}}
    ),
    Kind(
        "elsewhere",
        {"territory": "KZ-10", "concerns": ["violence"], "alleged_offender": {"relation": "other_adult"}},
    ),
    Kind("suicidal", {"territory": "KZ-75", "concerns": ["suicidal_behaviour"]}),
]

WORLD = World(
    named={
        # ¶8(1)-(3), ¶12(1) within the hour, ¶12(3) call-out, ¶13 within the hour, ¶20 help cabinet. The
        # psychological support centre is called out, too (¶12(3)), and is the dead one: it has no log.
        "violence": frozenset(
            {POLICE, BODY, COMMISSIONER, MOBILE_GROUP, CABINET, AUTHORITY, NATIONAL_COMMISSIONER}
        ),
        # ¶8(1)-(3) only: the other clocks are advisory for bullying.
        "bullying": frozenset({POLICE, BODY, COMMISSIONER}),
        # Another region: of the agencies on stage, only the two national ones.
        "elsewhere": frozenset({AUTHORITY, NATIONAL_COMMISSIONER}),
        # Order 264 ¶12: the psychological support centre alone, which is dead.
        "suicidal": frozenset(),
    },
    readers=frozenset({POLICE, BODY, COMMISSIONER}),
    answering=frozenset({POLICE, BODY, COMMISSIONER, CABINET, AUTHORITY, NATIONAL_COMMISSIONER}),
)
