-- Anomalies: one row per episode of a turbine and kind.
--
-- Three sources of signs: kinds of anomaly of windows (the latest revision only), rows in quarantine
-- (kind `rejected.<rule>`), and rows whose vibration is above the alarm (kind `vibration_level`).
-- Signs of one kind that are at most an hour apart are one episode.
--
--   turbine_id              of a row in quarantine: the node that stored it, by the object's key,
--                           since the row's own may be the fault (compact objects hold many nodes:
--                           the row's own)
--   first_time, last_time   of a window: its start and end; of a row: its event time, or its recording
--                           time where the event time is missing, absurd or rejected. A row without
--                           a time between the years 2000 and 2100 is in no episode
--   severity                critical: vibration twice the alarm, or two signs and an hour and more of
--                           overspeed, heat or vibration; warning: the rest of these; notice:
--                           underperformance and quarantine
--   rows                    windows or rows of the episode
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
rejected AS (
  SELECT
    CASE
      WHEN _source_file LIKE '%-compact-%' THEN turbine_id
      ELSE REGEXP_EXTRACT(_source_file, '([^/]+)-[0-9]+-[0-9]+[.]parquet$', 1)
    END AS turbine_id,
    farm_id,
    CONCAT('rejected.', rule) AS kind,
    CASE
      WHEN rule NOT LIKE 'time.%' AND event_known THEN timestamp
      WHEN recording_known THEN recorded_at
      WHEN event_known THEN timestamp
    END AS time
  FROM (
    SELECT
      *,
      timestamp >= TIMESTAMP '2000-01-01 00:00:00'
        AND timestamp < TIMESTAMP '2100-01-01 00:00:00' AS event_known,
      recorded_at >= TIMESTAMP '2000-01-01 00:00:00'
        AND recorded_at < TIMESTAMP '2100-01-01 00:00:00' AS recording_known
    FROM wind_turbine_quarantine
  ) AS timed
),
signs AS (
  SELECT
    turbine_id,
    farm_id,
    kind,
    window_start AS first_time,
    window_end AS last_time,
    CASE WHEN kind = 'vibration' THEN vibration_level_max END AS vibration
  FROM (
    SELECT *, EXPLODE(anomaly_kinds) AS kind
    FROM newest
  ) AS exploded
  UNION ALL
  SELECT
    turbine_id,
    farm_id,
    kind,
    time AS first_time,
    time AS last_time,
    CAST(NULL AS DOUBLE) AS vibration
  FROM rejected
  WHERE time IS NOT NULL
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
          MICROSECOND,
          MAX(last_time) OVER (
            PARTITION BY turbine_id, kind
            ORDER BY first_time
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
          ),
          first_time
        ) <= 3600000000
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
    COUNT(*) AS `rows`,
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
    WHEN max_vibration > 11.2 THEN 'critical'
    WHEN `rows` > 1 AND TIMESTAMPDIFF(MICROSECOND, first_time, last_time) >= 3600000000 THEN 'critical'
    ELSE 'warning'
  END AS severity,
  first_time,
  last_time,
  `rows`
FROM episodes;
