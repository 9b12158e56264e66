-- Performance per turbine: one row per day, and one for the whole time (date is null).
--
--   energy_mwh           MWh, sum over rows of power times the sampling interval
--   capacity_factor      energy over rated power times the time that the rows cover
--   time_availability    share of rows in an available state (IEC 61400-26-1)
--   energy_availability  energy over energy plus losses while unavailable, where the loss is the mean
--                        output of the farm's available turbines in the same ten minutes
--                        (IEC TS 61400-26-2, method of neighbours)
--   efficiency           energy over energy that the power curve promises for the measured wind
--   arrived              rows over samples between the fleet's first and last row of the day
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
  -- Seconds between two samples: a full window's time over its rows.
  SELECT
    MAX(TIMESTAMPDIFF(SECOND, window_start, window_end)) / CAST(MAX(`rows`) AS DOUBLE) AS step_s
  FROM newest
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
days AS (
  SELECT date, TIMESTAMPDIFF(SECOND, MIN(timestamp), MAX(timestamp)) AS span_s
  FROM samples
  GROUP BY date
),
per_day AS (
  SELECT
    samples.turbine_id,
    samples.farm_id,
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
    MAX(samples.rated_power) AS rated_power,
    MAX(samples.timestamp) AS newest_row
  FROM samples
  LEFT JOIN neighbours
    ON samples.farm_id = neighbours.farm_id
    AND samples.hour = neighbours.hour
    AND samples.tenth = neighbours.tenth
  GROUP BY samples.turbine_id, samples.farm_id, samples.date
),
promised AS (
  SELECT
    turbine_id,
    date,
    SUM(power_output * `rows`) AS produced_sum,
    SUM(power_output * `rows` / efficiency) AS promised_sum
  FROM newest
  WHERE efficiency > 0
  GROUP BY turbine_id, date
),
totals AS (
  SELECT
    per_day.turbine_id,
    per_day.farm_id,
    per_day.date,
    SUM(per_day.row_count) AS row_count,
    SUM(per_day.available_count) AS available_count,
    SUM(per_day.power_sum) AS power_sum,
    SUM(per_day.lost_sum) AS lost_sum,
    SUM(per_day.wind_sum) AS wind_sum,
    MAX(per_day.rated_power) AS rated_power,
    MAX(per_day.newest_row) AS newest_row,
    SUM(promised.produced_sum) AS produced_sum,
    SUM(promised.promised_sum) AS promised_sum,
    SUM(days.span_s) AS span_s,
    COUNT(*) AS day_count
  FROM per_day
  JOIN days ON per_day.date = days.date
  LEFT JOIN promised
    ON per_day.turbine_id = promised.turbine_id AND per_day.date = promised.date
  GROUP BY GROUPING SETS (
    (per_day.turbine_id, per_day.farm_id, per_day.date),
    (per_day.turbine_id, per_day.farm_id)
  )
)
SELECT
  turbine_id,
  farm_id,
  date,
  power_sum * step_s / 3600 AS energy_mwh,
  power_sum / (rated_power * row_count) AS capacity_factor,
  available_count / CAST(row_count AS DOUBLE) AS time_availability,
  CASE
    WHEN power_sum + lost_sum > 0 THEN GREATEST(power_sum, 0.0) / (GREATEST(power_sum, 0.0) + lost_sum)
  END AS energy_availability,
  CASE WHEN promised_sum > 0 THEN produced_sum / promised_sum END AS efficiency,
  wind_sum / row_count AS mean_wind_speed,
  row_count / (span_s / step_s + day_count) AS arrived,
  newest_row
FROM totals
CROSS JOIN pace;
