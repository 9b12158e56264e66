"""Components of a turbine: failure rates, severities, repair times, warnings. Data, no behaviour.

Rates are per turbine-year, in four severities: a remote `reset`, a `minor` repair, a `major`
one, a `replacement`.

Sources
- Offshore repairs, and repair hours: J. Carroll, A. McDonald, D. McMillan, "Failure rate, repair
  time and unscheduled O&M cost analysis of offshore wind turbines", Wind Energy 19 (2016) 1107-1119
  (8.3 a year; failures without a cost counted as minor). Its 19 groups are merged: rotor = blades
  and hub; cooling = grease, oil, heaters; electrical = electrical components, contactors, relays;
  control = controls and safety; hydraulics = pumps and motors; structure = tower, service items,
  others. It does not list the main bearing, which is COREWIND D6.1's main shaft.
- Onshore repairs: B. Hahn, M. Durstewitz, K. Rohrig, "Reliability of wind turbines", Wind Energy
  (Springer 2007) 329-332 (WMEP, 2.4 a year), rounded, with pitch, converter and cooling of newer
  machines after M. Wilkinson et al., "Methodology and results of the Reliawind reliability field
  study", EWEC 2010. Three in four are minor: S. Faulstich, B. Hahn, P. Tavner, "Wind turbine
  downtime and its importance for offshore deployment", Wind Energy 14 (2011) 327-337.
- Resets: operating archives show tens of stops a year that need no crew: M. Reder, E. Gonzalez, J.
  Melero, "Wind turbine failures: tackling current problems in failure data analysis", J. Phys.
  Conf. Ser. 753 (2016) 072027, and the public status logs of Kelmarsh and Penmanshiel (C. Plumley,
  Zenodo 2022). The shares by component are ours.
- Symptoms: damage of the drive train shows weeks to months ahead in vibration and temperature, that
  of electronics hardly ever: P. Tchakoua et al., "Wind turbine condition monitoring:
  state-of-the-art review", Energies 7 (2014) 2595-2630; J. Carroll et al., "Wind turbine gearbox
  failure and remaining useful life prediction", Wind Energy 22 (2019) 360-375. Rounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SEVERITIES: Final = ("reset", "minor", "major", "replacement")
RESET, MINOR, MAJOR, REPLACEMENT = range(4)


@dataclass(frozen=True)
class Component:
    """One part of a turbine.

    `onshore` and `offshore`: events per turbine-year, by severity. `hours`: mean repair time by
    severity. `symptom`: share of its major repairs and replacements that wear announces.
    `warning_days`: median time from visible wear to the failure. `outside`: repaired in the hub or
    on a rope, where less wind is allowed.
    """

    name: str
    onshore: tuple[float, float, float, float]
    offshore: tuple[float, float, float, float]
    hours: tuple[float, float, float, float]
    symptom: float = 0.0
    warning_days: float = 0.0
    outside: bool = False


COMPONENTS: Final = (
    Component(
        "pitch",
        (9.0, 0.24, 0.06, 0.0),
        (9.0, 0.896, 0.179, 0.001),
        (2, 9, 19, 25),
        0.7,
        4.0,
        outside=True,
    ),
    Component(
        "generator", (2.0, 0.05, 0.03, 0.03), (2.0, 0.583, 0.321, 0.095), (2, 7, 24, 81), 0.7, 30.0
    ),
    Component(
        "gearbox", (2.0, 0.04, 0.02, 0.04), (2.0, 0.441, 0.038, 0.154), (2, 8, 22, 231), 0.85, 45.0
    ),
    Component(
        "rotor",
        (1.0, 0.12, 0.042, 0.008),
        (1.0, 0.705, 0.048, 0.002),
        (2, 9, 36, 290),
        0.6,
        15.0,
        outside=True,
    ),
    Component(
        "main_bearing",
        (0.2, 0.025, 0.013, 0.012),
        (0.2, 0.231, 0.026, 0.009),
        (2, 5, 18, 48),
        0.85,
        60.0,
    ),
    Component(
        "cooling", (2.5, 0.17, 0.03, 0.0), (2.5, 0.671, 0.013, 0.0), (2, 4, 16, 16), 0.5, 6.0
    ),
    Component("electrical", (2.0, 0.27, 0.08, 0.0), (2.0, 0.791, 0.070, 0.004), (2, 5, 18, 84)),
    Component("control", (5.0, 0.36, 0.07, 0.0), (5.0, 0.761, 0.058, 0.001), (2, 5, 14, 12)),
    Component("sensors", (5.0, 0.23, 0.02, 0.0), (5.0, 0.276, 0.070, 0.0), (2, 8, 6, 6)),
    Component("hydraulics", (2.5, 0.18, 0.05, 0.0), (2.5, 0.303, 0.043, 0.0), (2, 4, 10, 10)),
    Component(
        "yaw", (5.0, 0.12, 0.055, 0.005), (5.0, 0.182, 0.006, 0.001), (2, 5, 20, 49), 0.6, 12.0
    ),
    Component("structure", (0.3, 0.18, 0.05, 0.0), (0.3, 0.951, 0.132, 0.001), (2, 5, 10, 36)),
    Component(
        "converter", (7.0, 0.11, 0.05, 0.01), (7.0, 0.094, 0.081, 0.005), (2, 7, 14, 57), 0.3, 2.0
    ),
    Component(
        "transformer",
        (0.5, 0.025, 0.015, 0.01),
        (0.5, 0.061, 0.003, 0.001),
        (2, 7, 26, 40),
        0.3,
        5.0,
    ),
)
COMPONENT_NAMES: Final = tuple(component.name for component in COMPONENTS)
MINOR_SYMPTOM: Final = 0.25
"""Factor on `symptom` for minor repairs."""
