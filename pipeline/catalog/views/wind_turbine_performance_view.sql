-- Performance per turbine: one row per day, and one for the whole time (date is null).
--
-- All figures are of the rows that arrived and are valid; `arrived` is their share. What is missing
-- (samples never stored, rows in quarantine) is not made up: energy_mwh is lower by its energy.
--
--   energy_mwh           MWh, sum over rows of power times the sampling interval, which is the median
--                        time between two rows of a turbine
--   capacity_factor      energy over rated power times the time that the rows cover
--   time_availability    share of rows in an available state (IEC 61400-26-1)
--   energy_availability  energy over energy plus losses while unavailable, where the loss is the mean
--                        output of the farm's available turbines in the same ten minutes
--                        (IEC TS 61400-26-2, method of neighbours)
--   efficiency           energy over energy that the power curve promises for the measured wind, of the
--                        windows with output: a stop counts in the availabilities
--   arrived              rows over samples between the fleet's first and last row, in that day or in
--                        all; a turbine without rows on a day has a row with 0
--   newest_row           time of the newest row
--
-- A turbine of which no valid row arrived at all is not listed.
CREATE OR REPLACE VIEW wind_turbine_performance_view AS
WITH newest AS (
  SELECT *
  FROM (
    SELECT
      *,
      ROW_NUMBER() OVER (PARTITION BY turbine_id, window_start ORDER BY revision DESC) AS place
    FROM wind_turbine_aggregated
  ) AS revisions
  WHERE place = 1
),
pace AS (
  SELECT MEDIAN(step_us) AS step_us
  FROM (
    SELECT
      TIMESTAMPDIFF(
        MICROSECOND,
        LAG(timestamp) OVER (PARTITION BY turbine_id ORDER BY timestamp),
        timestamp
      ) AS step_us
    FROM wind_turbine_enriched
  ) AS steps
),
samples AS (
  SELECT
    turbine_id,
    farm_id,
    timestamp,
    CAST(timestamp AS DATE) AS date,
    DATE_TRUNC('HOUR', timestamp) AS hour,
    CAST(FLOOR(EXTRACT(MINUTE FROM timestamp) / 10) AS INT) AS tenth,
    power_output,
    wind_speed,
    rated_power,
    CASE WHEN status IN ('running', 'standby', 'curtailed') THEN 1 ELSE 0 END AS available
  FROM wind_turbine_enriched
),
neighbours AS (
  SELECT
    farm_id,
    hour,
    tenth,
    AVG(power_output / rated_power) AS output
  FROM samples
  WHERE available = 1
  GROUP BY farm_id, hour, tenth
),
span AS (
  SELECT
    MIN(timestamp) AS first_row,
    MAX(step_us) AS step_us,
    FLOOR(TIMESTAMPDIFF(MICROSECOND, MIN(timestamp), MAX(timestamp)) / MAX(step_us)) + 1 AS expected
  FROM samples
  CROSS JOIN pace
),
days AS (
  -- Samples before the end of the day, less those before its start.
  SELECT
    dates.date,
    LEAST(
      span.expected,
      CEIL(
        TIMESTAMPDIFF(MICROSECOND, span.first_row, CAST(DATE_ADD(dates.date, 1) AS TIMESTAMP))
        / span.step_us
      )
    )
    - GREATEST(
      0,
      CEIL(
        TIMESTAMPDIFF(MICROSECOND, span.first_row, CAST(dates.date AS TIMESTAMP)) / span.step_us
      )
    ) AS expected
  FROM (SELECT DISTINCT date FROM samples) AS dates
  CROSS JOIN span
),
turbines AS (
  SELECT turbine_id, farm_id, MAX(rated_power) AS rated_power
  FROM samples
  GROUP BY turbine_id, farm_id
),
per_day AS (
  SELECT
    samples.turbine_id,
    samples.date,
    COUNT(*) AS row_count,
    SUM(samples.available) AS available_count,
    SUM(samples.power_output) AS power_sum,
    SUM(
      CASE
        WHEN samples.available = 1 OR neighbours.output IS NULL THEN 0.0
        ELSE GREATEST(samples.rated_power * neighbours.output - samples.power_output, 0.0)
      END
    ) AS lost_sum,
    SUM(samples.wind_speed) AS wind_sum,
    MAX(samples.timestamp) AS newest_row
  FROM samples
  LEFT JOIN neighbours
    ON samples.farm_id = neighbours.farm_id
    AND samples.hour = neighbours.hour
    AND samples.tenth = neighbours.tenth
  GROUP BY samples.turbine_id, samples.date
),
promised AS (
  SELECT
    turbine_id,
    date,
    SUM(power_output * `rows`) AS produced_sum,
    SUM(power_output * `rows` / efficiency) AS promised_sum
  FROM newest
  WHERE efficiency > 0 AND power_output > 0
  GROUP BY turbine_id, date
),
totals AS (
  SELECT
    turbines.turbine_id,
    turbines.farm_id,
    days.date,
    COALESCE(SUM(per_day.row_count), 0) AS row_count,
    SUM(per_day.available_count) AS available_count,
    COALESCE(SUM(per_day.power_sum), 0.0) AS power_sum,
    SUM(per_day.lost_sum) AS lost_sum,
    SUM(per_day.wind_sum) AS wind_sum,
    MAX(turbines.rated_power) AS rated_power,
    MAX(per_day.newest_row) AS newest_row,
    SUM(promised.produced_sum) AS produced_sum,
    SUM(promised.promised_sum) AS promised_sum,
    SUM(days.expected) AS expected
  FROM turbines
  CROSS JOIN days
  LEFT JOIN per_day
    ON turbines.turbine_id = per_day.turbine_id AND days.date = per_day.date
  LEFT JOIN promised
    ON turbines.turbine_id = promised.turbine_id AND days.date = promised.date
  GROUP BY GROUPING SETS (
    (turbines.turbine_id, turbines.farm_id, days.date),
    (turbines.turbine_id, turbines.farm_id)
  )
)
SELECT
  totals.turbine_id,
  totals.farm_id,
  totals.date,
  totals.power_sum * span.step_us / 3600000000 AS energy_mwh,
  totals.power_sum / (totals.rated_power * NULLIF(totals.row_count, 0)) AS capacity_factor,
  totals.available_count / CAST(NULLIF(totals.row_count, 0) AS DOUBLE) AS time_availability,
  CASE
    WHEN totals.power_sum + totals.lost_sum > 0
      THEN GREATEST(totals.power_sum, 0.0) / (GREATEST(totals.power_sum, 0.0) + totals.lost_sum)
  END AS energy_availability,
  CASE
    WHEN totals.promised_sum > 0 THEN totals.produced_sum / totals.promised_sum
  END AS efficiency,
  totals.wind_sum / NULLIF(totals.row_count, 0) AS mean_wind_speed,
  totals.row_count
    / CASE WHEN totals.date IS NULL THEN span.expected ELSE totals.expected END AS arrived,
  totals.newest_row
FROM totals
CROSS JOIN span;
