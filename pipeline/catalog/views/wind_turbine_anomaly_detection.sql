-- Anomalies: one row per episode of a turbine and kind.
--
-- Three sources: kinds of anomaly of windows (the latest revision only), rows in quarantine (kind
-- `rejected.<rule>`), and rows whose vibration is above the alarm (kind `vibration_level`).
-- Signs of one kind that are at most an hour apart are one episode.
--
--   severity   critical: vibration twice the alarm, or an hour and more of overspeed, heat or
--              vibration; warning: the rest of these; notice: underperformance and quarantine
--   signs      windows or rows of the episode
CREATE OR REPLACE VIEW wind_turbine_anomaly_detection AS
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
signs AS (
  SELECT
    turbine_id,
    farm_id,
    kind,
    window_start AS first_time,
    window_end AS last_time,
    vibration_level_max AS vibration
  FROM (
    SELECT *, EXPLODE(anomaly_kinds) AS kind
    FROM newest
  ) AS exploded
  UNION ALL
  SELECT
    turbine_id,
    farm_id,
    CONCAT('rejected.', rule) AS kind,
    recorded_at AS first_time,
    recorded_at AS last_time,
    CAST(NULL AS DOUBLE) AS vibration
  FROM wind_turbine_quarantine
  WHERE recorded_at IS NOT NULL
  UNION ALL
  SELECT
    turbine_id,
    farm_id,
    'vibration_level' AS kind,
    timestamp AS first_time,
    timestamp AS last_time,
    vibration_level AS vibration
  FROM wind_turbine_enriched
  WHERE vibration_level > 5.6
),
begun AS (
  SELECT
    *,
    CASE
      WHEN
        TIMESTAMPDIFF(
          SECOND,
          MAX(last_time) OVER (
            PARTITION BY turbine_id, kind
            ORDER BY first_time
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
          ),
          first_time
        ) <= 3600
        THEN 0
      ELSE 1
    END AS begins
  FROM signs
),
numbered AS (
  SELECT
    *,
    SUM(begins) OVER (
      PARTITION BY turbine_id, kind
      ORDER BY first_time
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS episode
  FROM begun
),
episodes AS (
  SELECT
    turbine_id,
    farm_id,
    kind,
    MIN(first_time) AS first_time,
    MAX(last_time) AS last_time,
    COUNT(*) AS signs,
    MAX(vibration) AS max_vibration
  FROM numbered
  GROUP BY turbine_id, farm_id, kind, episode
)
SELECT
  turbine_id,
  farm_id,
  kind,
  CASE
    WHEN kind LIKE 'rejected.%' OR kind = 'underperformance' THEN 'notice'
    WHEN max_vibration > 11.2 OR TIMESTAMPDIFF(SECOND, first_time, last_time) >= 3600 THEN 'critical'
    ELSE 'warning'
  END AS severity,
  first_time,
  last_time,
  signs
FROM episodes;
