"""One farm's machines: from wind and operating state to rotor speed, pitch and power.

The controller starts a turbine when the smoothed wind exceeds cut-in, stops it below or above cut-out (with
hysteresis); rotor speed follows the rotor-averaged wind up to rated with inertia; power is the type's published curve
of that wind, limited when curtailed; pitch is fine below rated and feathers to hold power above. Lags are first order.

Does not cover: yaw misalignment, dynamic stall, grid codes, blade icing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.records import STATES
from sim import seeds
from sim.fleet.farm import Farm
from sim.model.noise import Array, blend

RUNNING, STANDBY, CURTAILED = (STATES.index(name) for name in ("running", "standby", "curtailed"))

ROTOR_AVERAGE_S = 3.0  # the rotor feels the wind averaged over its disc
SUPERVISOR_S = 60.0  # the controller judges the wind by a slower average
INERTIA_S = 7.0
PITCH_DRIVE_S = 6.0
HYSTERESIS = 0.4  # m/s around cut-in
RESTART_BELOW = 3.0  # m/s under cut-out
CONNECT = 0.95  # of the slowest producing speed: the generator is on the grid
IDLE = 0.08  # of rated speed, at cut-in wind
FEATHER_DEG = 86.0
STANDBY_POWER = 0.004  # of rated, drawn from the grid
CEILING = 1.03  # of rated; no turbine produces more


@dataclass
class Machine:
    """What the machines do, each (samples, turbines). Power in MW, `load` its share of rated power, 0..CEILING."""

    status: npt.NDArray[np.int8]
    rotor_rpm: Array
    pitch: Array
    power: Array
    load: Array


class Turbines:
    """The machines of one farm with the state they carry from call to call."""

    def __init__(self, farm: Farm, seed: int, step_s: float) -> None:
        self.kind = farm.turbine_type
        n = farm.turbines
        self.health = seeds.rng(seed, "turbine", farm.farm_id).normal(0.98, 0.01, n).clip(0.94, 1.0)
        self.fine_pitch = seeds.rng(seed, "turbine", farm.farm_id, "pitch").normal(0.0, 0.2, n)
        self._curve = np.array(self.kind.power_curve).T
        self._moves = [blend(step_s, s) for s in (SUPERVISOR_S, ROTOR_AVERAGE_S, INERTIA_S, PITCH_DRIVE_S)]
        self._carry: tuple[Array, Array, npt.NDArray[np.bool_], Array, Array] | None = None

    def advance(self, wind: Array, down: npt.NDArray[np.int8], limit: Array) -> Machine:
        """The next samples. `down` is 0 or the index of the state in which the machine stands still; `limit` (samples,)
        is the share of rated power that the grid allows, 1 when it does not mind."""
        kind = self.kind
        felt, rotor, feather, up = self._controller(wind, down == 0)
        load = np.interp(felt, self._curve[0], self._curve[1]) / kind.rated_power
        load *= self.health
        np.minimum(load, np.minimum(limit, CEILING)[:, None], out=load)
        on_grid = up & (rotor >= CONNECT * kind.rotor_rpm_min)
        load *= on_grid
        status = np.where(on_grid, np.where(limit < 1.0, CURTAILED, RUNNING)[:, None], STANDBY).astype(np.int8)
        np.copyto(status, down, where=down != 0)
        power = load * kind.rated_power
        power -= (STANDBY_POWER * kind.rated_power) * ~on_grid
        return Machine(status, rotor, self._pitch(felt, feather), power, load)

    def _controller(
        self, wind: Array, available: npt.NDArray[np.bool_]
    ) -> tuple[Array, Array, Array, npt.NDArray[np.bool_]]:
        """(wind felt m/s, rotor 1/min, share of feathering 0..1, in operation), each (samples, turbines)."""
        kind = self.kind
        slow, rotor_average, inertia, drive = self._moves
        tip = kind.rated_rpm / (0.95 * kind.rated_wind)  # 1/min per m/s: optimal tip speed ratio up to rated speed
        idle = np.minimum(wind * (IDLE * kind.rated_rpm / kind.cut_in), IDLE * kind.rated_rpm)
        idle *= available
        felt, rotor, feather = np.empty_like(wind), np.empty_like(wind), np.empty_like(wind)
        operating = np.empty_like(available)
        if self._carry is None:
            up = available[0] & (wind[0] > kind.cut_in) & (wind[0] < kind.cut_out)
            turning = np.where(up, np.clip(wind[0] * tip, kind.rotor_rpm_min, kind.rated_rpm), idle[0])
            self._carry = (wind[0].copy(), wind[0].copy(), up, turning, np.where(up, 0.0, 1.0))
        judged, now, up, turning, angle = self._carry
        for t in range(len(wind)):
            judged = judged + slow * (wind[t] - judged)
            now = now + rotor_average * (wind[t] - now)
            low = kind.cut_in + HYSTERESIS * (1.0 - 2.0 * up)
            high = kind.cut_out - RESTART_BELOW * (1.0 - up)
            up = (judged > low) & (judged < high) & available[t]
            goal = np.where(up, np.minimum(np.maximum(now * tip, kind.rotor_rpm_min), kind.rated_rpm), idle[t])
            turning = turning + inertia * (goal - turning)
            angle = angle + drive * (~up - angle)
            felt[t], rotor[t], feather[t], operating[t] = now, turning, angle, up
        self._carry = (judged, now, up, turning, angle)
        return felt, rotor, feather, operating

    def _pitch(self, felt: Array, feather: Array) -> Array:
        """Blade pitch, deg. Above rated wind the shape is fitted to the NREL 5 MW schedule (23.5 deg at 25 m/s)."""
        kind = self.kind
        over = np.maximum(felt - kind.rated_wind, 0.0)
        over /= kind.cut_out - kind.rated_wind
        np.power(over, 0.6, out=over, where=over > 0.0)
        over *= 23.5
        over += self.fine_pitch
        over *= 1.0 - feather
        over += feather * FEATHER_DEG
        return over
