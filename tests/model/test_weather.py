"""The weather of farms (distributions, memory, maps, fronts) against published ranges.

A year is the same for every request. Ranges are those of hub heights. Sources stand at each test.
"""

import dataclasses

import numpy as np
import pytest

from sim.fleet import load_fleet
from sim.model.events import Event
from sim.model.wind.fields import energy
from sim.model.wind.weather import Weather, _table

FARMS = {farm.farm_id: farm for farm in load_fleet().farms}
START_US = 1_704_067_200_000_000  # 2024-01-01T00:00:00Z
TEN_MINUTES_US = 600_000_000
TIMES = START_US + np.arange(365 * 144) * TEN_MINUTES_US


@pytest.fixture(scope="module")
def year():
    """Air of every farm for a year, every 10 minutes."""
    return {farm_id: Weather(farm, 7).at(TIMES) for farm_id, farm in FARMS.items()}


def hourly(values):
    return values.reshape(-1, 6).mean(axis=1)


def correlation(one, other, lag=0):
    """Correlation of two series, the other `lag` steps later."""
    return np.corrcoef(one[: len(one) - lag], other[lag:])[0, 1]


def apart(one, other):
    """Degrees between two directions, 0..180."""
    return np.abs((one - other + 180.0) % 360.0 - 180.0)


def months(numbers):
    """Mask of the TIMES in these months of the year."""
    return np.isin((TIMES - START_US) // 86_400_000_000 // 30.5 + 1, numbers)


# --- statistics of a year -------------------------------------------------------------------------


@pytest.mark.parametrize("farm_id", FARMS)
def test_a_year_has_the_climates_distribution(year, farm_id):
    """Weibull shapes of 1.5 to 2.6; yearly means within some 10 % of the climate's mean.

    Sources: European Wind Atlas (Troen and Petersen 1989), ch. 3; k by moments (Justus et al.
    1978): (std / mean) ** -1.086.
    """
    climate, speed = FARMS[farm_id].climate, year[farm_id].speed
    assert speed.mean() == pytest.approx(climate.mean_wind, rel=0.12)
    k = (speed.std() / speed.mean()) ** -1.086
    assert 1.5 < k < 2.6
    assert k == pytest.approx(climate.weibull_k, abs=0.35)
    assert 1.8 * speed.mean() < np.quantile(speed, 0.99) < 2.9 * speed.mean()
    assert speed.max() < 45  # a year's highest hour
    assert 0.001 < (speed < 1.0).mean() < 0.06


@pytest.mark.parametrize("farm_id", FARMS)
def test_wind_is_correlated_over_hours_and_less_over_a_day(year, farm_id):
    """Autocorrelation of hourly wind: r(6 h) 0.6 to 0.85, r(24 h) 0.2 to 0.5 at 100 m.

    r(1 h) is about 0.9 at 10 m (Brett and Tuller 1991, J. Appl. Meteor. 30), more at hub height.
    The others: FINO1, Cabauw.
    """
    wind = hourly(year[farm_id].speed)
    assert 0.92 < correlation(wind, wind, 1) < 0.99
    assert 0.55 < correlation(wind, wind, 6) < 0.88
    assert 0.1 < correlation(wind, wind, 24) < 0.6


def test_spectrum_falls_between_the_synoptic_peak_and_the_mesoscale(year):
    """Slopes of -3 to -5/3 between 2 days and 6 hours, peak at some days.

    Sources: Larsen et al. 2013, Van der Hoven 1957.
    """
    assert energy(4 * 86_400) > 3 * energy(86_400) > 9 * energy(6 * 3600)
    # pieces of 73 days
    wind = np.concatenate([year[farm_id].speed[::6].reshape(-1, 24 * 73) for farm_id in "BEF"])
    power = (
        np.abs(np.fft.rfft((wind - wind.mean(axis=1)[:, None]) * np.hanning(24 * 73), axis=1)) ** 2
    ).mean(axis=0)
    frequency = np.fft.rfftfreq(24 * 73, 3600.0)
    edges = np.geomspace(1 / (48 * 3600), 1 / (6 * 3600), 9)
    band = np.digitize(frequency, edges)
    levels = [np.log(power[band == i].mean()) for i in range(1, 9)]
    assert -3.2 < np.polyfit(np.log(np.sqrt(edges[1:] * edges[:-1])), levels, 1)[0] < -1.5
    peak = (
        1
        / frequency[1:][np.argmax(np.convolve(power * frequency, np.ones(5) / 5, "same")[1:])]
        / 86_400
    )
    assert 2.0 < peak < 12.0


@pytest.mark.parametrize("farm_id", "AEG")
def test_ramps_have_heavy_tails_and_days_differ(year, farm_id):
    """Ramps over hours have far heavier tails than normal (kurtosis 3), less so for longer ramps.

    Source: DeMarco and Basu 2018, Wind Energy 21. Standard deviations within days of a normal
    process of this spectrum differ by 0.40.
    """
    wind = hourly(year[farm_id].speed)
    ramps = [wind[hours:] - wind[:-hours] for hours in (1, 3, 12)]
    kurtosis = [((ramp - ramp.mean()) ** 4).mean() / ramp.var() ** 2 for ramp in ramps]
    assert kurtosis == sorted(kurtosis, reverse=True)
    assert 4.0 < kurtosis[1] < kurtosis[0] < 8.0
    within = wind[: len(wind) // 24 * 24].reshape(-1, 24).std(axis=1)
    assert 0.43 < within.std() / within.mean() < 0.6


def test_days_and_seasons_are_those_of_the_site(year):
    """Inland nights are windier at hub height, mid-latitude winters are windier.

    - Inland: low-level jets by night (Schwartz and Elliott 2006: 10-30 %), convection by day.
    - At sea the time of day hardly matters.
    """
    for farm_id, low, high in (("D", 1.1, 1.6), ("A", 1.05, 1.5), ("F", 0.9, 1.1), ("B", 0.9, 1.1)):
        hour = ((TIMES / 3.6e9) + FARMS[farm_id].longitude / 15.0) % 24
        night, day = hour < 4, (hour > 11) & (hour < 15)
        air = year[farm_id]
        assert low < air.speed[night].mean() / air.speed[day].mean() < high, farm_id
        assert (air.turbulence[day].mean() > 1.2 * air.turbulence[night].mean()) == (
            farm_id in "AD"
        )
    for farm_id in "AEF":
        winter, summer = (year[farm_id].speed[months(m)].mean() for m in ([12, 1, 2], [6, 7, 8]))
        assert 1.1 < winter / summer < 2.0, farm_id


def test_the_monsoon_reverses(year):
    """Singapore Strait: north-east December to March, south to south-west June to September.

    Source: MSS 2009.
    """
    for farm_id in "GH":
        for numbers, expected in (([1, 2], 25.0), ([7, 8], 195.0)):
            to = np.exp(1j * np.radians(year[farm_id].direction[months(numbers)])).mean()
            assert apart(np.degrees(np.angle(to)), expected) < 40
            assert abs(to) > 0.5


def test_direction_varies_in_lulls_and_is_steady_in_strong_wind(year):
    for farm_id in "CEF":
        air = year[farm_id]
        turn = np.abs(np.diff(air.direction[::6]))
        speed = air.speed[::6][:-1]
        assert np.median(turn[speed < 2.0]) > 4 * np.median(turn[speed > 9.0])
        assert np.median(turn[speed > 9.0]) < 8.0


# --- maps and fronts ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "km"), [("C", "D", 119), ("E", "F", 191), ("A", "B", 392)]
)
def test_hourly_wind_is_correlated_over_hundreds_of_kilometres(year, one, other, km):
    """Hourly wind: r = exp(-d / D) with D of 300 to 800 km.

    Sources: Giebel 2000: 723 km; Holttinen 2005: 500 km.
    """
    r = correlation(hourly(year[one].speed), hourly(year[other].speed))
    assert 300 < -km / np.log(r) < 1100


def test_farms_of_other_regions_are_hardly_correlated(year):
    for one, other in ("AC", "AE", "EG", "CF"):
        assert abs(correlation(hourly(year[one].speed), hourly(year[other].speed))) < 0.3


def test_changes_of_minutes_are_not_correlated(year):
    """Changes of half an hour and less are uncorrelated beyond some 30 km.

    Source: Ernst, Wan and Kirby 1999.
    """
    for one, other in ("CD", "EF"):
        changes = [np.diff(year[farm_id].speed[::3]) for farm_id in (one, other)]
        assert abs(correlation(*changes)) < 0.25


def test_weather_of_mid_latitudes_comes_from_the_west(year):
    """Weather reaches the Irish Sea after the west of Ireland, Virginia after the mountains."""
    for west, east in ("EF", "AB"):
        one, other = hourly(year[west].speed), hourly(year[east].speed)
        best = max(
            range(-12, 13),
            key=lambda h: correlation(one, other, h) if h >= 0 else correlation(other, one, -h),
        )
        assert 1 <= best <= 9


def passages(score):
    """Indices of the 40 lowest scores, a day apart."""
    found = []
    for i in np.argsort(score):
        if all(abs(i - j) > 144 for j in found) and 200 < i < len(score) - 200:
            found.append(int(i))
        if len(found) == 40:
            return np.array(found)
    raise AssertionError("no fronts")


@pytest.mark.parametrize("latitude", [53.08, -53.08])
def test_a_cold_front_cools_veers_and_gusts(year, latitude):
    """At a cold front wind veers in the north and backs in the south; then pressure rises.

    Source: Bjerknes. North and south of the equator.
    """
    air = year["E"]
    if latitude != FARMS["E"].latitude:
        air = Weather(dataclasses.replace(FARMS["E"], latitude=latitude), 7).at(TIMES)
    cooling = air.temperature[12:] - air.temperature[:-12]  # within 2 h
    at = passages(cooling)
    assert (air.temperature[at + 12] - air.temperature[at]).mean() < -1.5
    turn = (air.direction[at + 15] - air.direction[at - 3]) * np.sign(latitude)
    assert np.median(turn) > 15
    assert (turn > 0).mean() > 0.7
    assert (air.pressure[at + 60] > air.pressure[at + 6]).mean() > 0.6
    veering = np.clip((air.direction[12:] - air.direction[:-12]) * np.sign(latitude), 0, 90)
    at = passages(cooling * veering)
    hours = np.arange(18) - 3
    near, before, after = (
        air.speed[at[:, None] + hours + shift].max(axis=1).mean() for shift in (0, -60, 72)
    )
    assert near > 1.05 * 0.5 * (before + after)


def test_south_of_the_equator_july_is_winter():
    south = dataclasses.replace(FARMS["E"], latitude=-45.0)
    january, july = (Weather(south, 7).at(TIMES[months(m)]).temperature.mean() for m in ([1], [7]))
    assert january > july + 5


# --- the air --------------------------------------------------------------------------------------


@pytest.mark.parametrize("farm_id", FARMS)
def test_air_has_the_climate_of_the_place(year, farm_id):
    climate, air = FARMS[farm_id].climate, year[farm_id]
    assert air.temperature.mean() == pytest.approx(climate.mean_temperature, abs=1.5)
    swing = (
        climate.seasonal_temperature
        + climate.diurnal_temperature
        + 4.0 * climate.airmass_temperature
    )
    assert np.abs(air.temperature - climate.mean_temperature).max() < 1.6 * swing
    assert (
        np.abs(np.diff(hourly(air.temperature))).max() < 9.0
    )  # K an hour, the sharpest front of a year
    sea = air.pressure * np.exp(9.80665 * climate.altitude / (287.05 * (air.temperature + 273.15)))
    assert (sea > 930).all()
    assert (sea < 1070).all()
    assert sea.std() < (3 if abs(FARMS[farm_id].latitude) < 10 else 14)
    dry = 100 * air.pressure / (287.05 * (air.temperature + 273.15))
    assert (air.density <= dry).all()  # moist air is lighter
    assert (air.density > 0.96 * dry).all()
    assert (air.humidity > 0).all()
    assert (air.humidity <= 1).all()
    assert (air.turbulence > 0).all()


def test_mean_turbulence_is_that_of_the_normal_model(year):
    """Mean of IEC 61400-1's normal turbulence model: sigma = Iref (0.75 V + 3.8).

    Intensities at 15 m/s: offshore 5 to 9 %, on land 10 to 16 % (Tuerk and Emeis 2010; Hansen and
    Larsen 2005).
    """
    for farm_id, farm in FARMS.items():
        air = year[farm_id]
        strong = np.abs(air.speed - 13.5) < 1.5
        mean = air.turbulence[strong].mean()
        expected = farm.climate.iref * (0.75 + 3.8 / 13.5)
        assert mean == pytest.approx(expected, rel=0.15), farm_id
        low, high = (0.05, 0.1) if farm_id in "BFGH" else (0.1, 0.18)
        assert low < mean < high, farm_id


# --- a function of seed, place and time -----------------------------------------------------------


def same(one, other):
    """Assert that two airs are equal, directions up to whole turns."""
    for field in dataclasses.fields(one):
        left, right = getattr(one, field.name), getattr(other, field.name)
        if field.name == "direction":
            assert apart(left, right).max() < 1e-9
        else:
            assert np.array_equal(left, right), field.name


def test_weather_does_not_depend_on_the_request(year):
    times = TIMES[4000:6000] + 123_456_789
    whole = Weather(FARMS["C"], 7).at(times)
    _table.cache_clear()
    other = Weather(FARMS["C"], 7, start_us=START_US + 5)
    other.at(TIMES[-50:])
    part = other.at(times[700:1200])
    same(
        part,
        dataclasses.replace(
            whole, **{f.name: getattr(whole, f.name)[700:1200] for f in dataclasses.fields(whole)}
        ),
    )
    renamed = dataclasses.replace(
        FARMS["C"].at(FARMS["C"].positions[:3]), farm_id="X", region="elsewhere"
    )
    _table.cache_clear()
    same(Weather(renamed, 7).at(times), whole)  # the place determines the weather, not the name
    another = Weather(FARMS["C"], 8).at(TIMES[:20_000]).speed
    assert abs(correlation(another, year["C"].speed[:20_000])) < 0.3


def test_directions_are_continuous_from_call_to_call():
    weather = Weather(FARMS["G"], 7)
    last = None
    for first in range(0, len(TIMES) // 3, 30):
        bearing = weather.at(TIMES[first : first + 30]).direction
        assert last is None or abs(bearing[0] - last) < 180
        last = bearing[-1]


# --- events ---------------------------------------------------------------------------------------

DAY_US = START_US + np.arange(0, 86_400, 10) * 1_000_000


def events(*given):
    """Return (air with, air without) over the first day, every 10 s."""
    return (
        Weather(FARMS["E"], 7, given, START_US).at(DAY_US),
        Weather(FARMS["E"], 7, (), START_US).at(DAY_US),
    )


@pytest.mark.parametrize("farms", [(), ("E",), ("A",)])
def test_events_act_smoothly_within_their_time_and_farms(farms):
    given = (
        Event("weather.storm", 3600.0, 7200.0, farms, size=30.0),
        Event("weather.calm", 14_400.0, 7200.0, farms, size=2.0),
        Event("weather.icing", 30_000.0, 20_000.0, farms),
        Event("grid.outage", 60_000.0, 5_000.0, farms),
    )
    air, plain = events(*given)
    if farms == ("A",):
        same(air, plain)
        return
    second = np.arange(0, 86_400, 10)
    inside = np.zeros(len(second), dtype=bool)
    for event in given[:3]:
        inside |= (second > event.from_s) & (second < event.from_s + event.for_s)
    for name in ("speed", "direction", "temperature", "humidity"):
        left, right = getattr(air, name), getattr(plain, name)
        assert np.array_equal(left[~inside], right[~inside])
        assert (left[inside] != right[inside]).any()
    storm, calm = (
        air.speed[(second > 6600) & (second < 7800)],
        air.speed[(second > 17_400) & (second < 18_600)],
    )
    # neither wind is constant, as in no archive
    assert 0.85 * 30.0 < storm.min() < storm.max() <= 30.0
    assert 0.4 * 2.0 < calm.min() < calm.max() < 1.6 * 2.0
    assert np.abs(np.diff(air.speed)).max() < 0.3  # m/s in 10 s
    fog = (second > 38_000) & (second < 42_000)
    assert (air.temperature[fog] <= -4.0 + 1e-9).all()
    assert (air.humidity[fog] > 0.99).all()
    assert (air.density[fog] > plain.density[fog]).all()
    assert np.ptp(air.direction[(second > 3600) & (second < 10_800)]) > 30


def test_clear_days_have_a_larger_daily_range_than_overcast_ones():
    """Daily ranges of temperature vary with cloud by factors, fronts aside.

    Source: Dai, Trenberth and Karl 1999, J. Climate 12: cloud halves them.
    """
    air = Weather(FARMS["D"], 7).at(TIMES)
    days = air.temperature[: len(TIMES) // 144 * 144].reshape(-1, 144)
    summer = days[150:240]
    # less the day's trend
    reach = np.ptp(summer - np.linspace(0, 1, 144) * (summer[:, -1:] - summer[:, :1]), axis=1)
    assert np.quantile(reach, 0.9) > 1.6 * np.quantile(reach, 0.1)
    assert 5 < np.median(reach) < 16
