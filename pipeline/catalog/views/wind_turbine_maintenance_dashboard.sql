-- Maintenance: turbines ranked by how far they have left their own past and their farm.
--
-- Ten-minute means of running turbines are compared with the median of the farm's running turbines in
-- the same ten minutes, so that wind, ambient temperature and load cancel. Daily means of these
-- differences are compared with the turbine's own: `recent` is the last five days, `before` the first
-- third of the last 60 days. Rows after current_timestamp() are left out, so that an earlier clock gives
-- the ranking of an earlier day. A deviation divided by the usual deviation within the farm is its score.
--
--   gearbox_k, generator_k, nacelle_k   deviation of the temperature above ambient, K
--   vibration_mm_s                      deviation of the vibration, mm/s
--   output                              deviation of power over rated power
--   *_per_week                          slope over the last 28 days, per week
--   score                               the largest score; from 4 up `component` names the likely cause
--
-- Signs by component (P. Tchakoua et al., Energies 7 (2014) 2595-2630): gearbox, oil warm for its
-- vibration; main bearing, vibration with some heat in the oil; generator, winding; cooling, winding
-- and nacelle; pitch and rotor, vibration and lost output; yaw, lost output only.
CREATE OR REPLACE VIEW wind_turbine_maintenance_dashboard AS
WITH moments AS (
  SELECT
    turbine_id,
    farm_id,
    DATE_TRUNC('HOUR', timestamp) AS hour,
    CAST(FLOOR(EXTRACT(MINUTE FROM timestamp) / 10) AS INT) AS tenth,
    AVG(power_output / rated_power) AS output,
    AVG(gearbox_temperature - ambient_temperature) AS gearbox,
    AVG(generator_temperature - ambient_temperature) AS generator,
    AVG(temperature - ambient_temperature) AS nacelle,
    AVG(vibration_level) AS vibration
  FROM wind_turbine_enriched
  WHERE
    status = 'running'
    AND power_output > 0.1 * rated_power
    AND timestamp <= current_timestamp()
    AND timestamp > (
      SELECT MAX(timestamp)
      FROM wind_turbine_enriched
      WHERE timestamp <= current_timestamp()
    ) - INTERVAL 60 DAYS
  GROUP BY turbine_id, farm_id, hour, tenth
),
farms AS (
  SELECT
    farm_id,
    hour,
    tenth,
    MEDIAN(output) AS output,
    MEDIAN(gearbox) AS gearbox,
    MEDIAN(generator) AS generator,
    MEDIAN(nacelle) AS nacelle,
    MEDIAN(vibration) AS vibration
  FROM moments
  GROUP BY farm_id, hour, tenth
  HAVING COUNT(*) >= 3
),
daily AS (
  SELECT
    moments.turbine_id,
    moments.farm_id,
    CAST(moments.hour AS DATE) AS date,
    AVG(moments.output - farms.output) AS output,
    AVG(moments.gearbox - farms.gearbox) AS gearbox,
    AVG(moments.generator - farms.generator) AS generator,
    AVG(moments.nacelle - farms.nacelle) AS nacelle,
    AVG(moments.vibration - farms.vibration) AS vibration
  FROM moments
  JOIN farms
    ON moments.farm_id = farms.farm_id
    AND moments.hour = farms.hour
    AND moments.tenth = farms.tenth
  GROUP BY moments.turbine_id, moments.farm_id, date
  HAVING COUNT(*) >= 6
),
numbered AS (
  SELECT
    daily.*,
    DATEDIFF(daily.date, span.first_day) AS day,
    span.days
  FROM daily
  CROSS JOIN (
    SELECT MIN(date) AS first_day, DATEDIFF(MAX(date), MIN(date)) + 1 AS days
    FROM daily
  ) AS span
),
deviations AS (
  SELECT
    turbine_id,
    farm_id,
    MAX(date) AS last_day,
    AVG(CASE WHEN day >= days - 5 THEN output END)
      - AVG(CASE WHEN day < days / 3.0 THEN output END) AS output,
    AVG(CASE WHEN day >= days - 5 THEN gearbox END)
      - AVG(CASE WHEN day < days / 3.0 THEN gearbox END) AS gearbox,
    AVG(CASE WHEN day >= days - 5 THEN generator END)
      - AVG(CASE WHEN day < days / 3.0 THEN generator END) AS generator,
    AVG(CASE WHEN day >= days - 5 THEN nacelle END)
      - AVG(CASE WHEN day < days / 3.0 THEN nacelle END) AS nacelle,
    AVG(CASE WHEN day >= days - 5 THEN vibration END)
      - AVG(CASE WHEN day < days / 3.0 THEN vibration END) AS vibration,
    7 * REGR_SLOPE(CASE WHEN day >= days - 28 THEN output END, day) AS output_per_week,
    7 * REGR_SLOPE(CASE WHEN day >= days - 28 THEN gearbox END, day) AS gearbox_per_week,
    7 * REGR_SLOPE(CASE WHEN day >= days - 28 THEN generator END, day) AS generator_per_week,
    7 * REGR_SLOPE(CASE WHEN day >= days - 28 THEN nacelle END, day) AS nacelle_per_week,
    7 * REGR_SLOPE(CASE WHEN day >= days - 28 THEN vibration END, day) AS vibration_per_week
  FROM numbered
  WHERE days >= 10
  GROUP BY turbine_id, farm_id
),
usual AS (
  -- The usual deviation of a farm's turbines, robust: 1.4826 times the median; never below a floor.
  SELECT
    farm_id,
    GREATEST(0.02, 1.4826 * MEDIAN(ABS(output))) AS output,
    GREATEST(0.3, 1.4826 * MEDIAN(ABS(gearbox))) AS gearbox,
    GREATEST(0.6, 1.4826 * MEDIAN(ABS(generator))) AS generator,
    GREATEST(0.6, 1.4826 * MEDIAN(ABS(nacelle))) AS nacelle,
    GREATEST(0.06, 1.4826 * MEDIAN(ABS(vibration))) AS vibration
  FROM deviations
  GROUP BY farm_id
),
scores AS (
  SELECT
    deviations.*,
    -deviations.output / usual.output AS output_score,
    deviations.gearbox / usual.gearbox AS gearbox_score,
    deviations.generator / usual.generator AS generator_score,
    deviations.nacelle / usual.nacelle AS nacelle_score,
    deviations.vibration / usual.vibration AS vibration_score
  FROM deviations
  JOIN usual ON deviations.farm_id = usual.farm_id
),
judged AS (
  SELECT
    *,
    GREATEST(
      COALESCE(output_score, 0.0),
      COALESCE(gearbox_score, 0.0),
      COALESCE(generator_score, 0.0),
      COALESCE(nacelle_score, 0.0),
      COALESCE(vibration_score, 0.0)
    ) AS score
  FROM scores
)
SELECT
  ROW_NUMBER() OVER (ORDER BY score DESC, turbine_id) AS place,
  turbine_id,
  farm_id,
  score,
  CASE
    WHEN score < 4 THEN NULL
    WHEN gearbox_score >= 3 AND gearbox >= 4 * vibration THEN 'gearbox'
    WHEN gearbox_score >= 2 AND vibration_score >= 3 THEN 'main_bearing'
    WHEN generator_score >= 3 AND nacelle_score >= 3 THEN 'cooling'
    WHEN generator_score >= 3 THEN 'generator'
    WHEN vibration_score >= 3 AND output_score >= 3 THEN 'pitch'
    WHEN vibration_score >= 3 THEN 'rotor'
    WHEN nacelle_score >= 3 THEN 'cooling'
    ELSE 'yaw'
  END AS component,
  gearbox AS gearbox_k,
  generator AS generator_k,
  nacelle AS nacelle_k,
  vibration AS vibration_mm_s,
  output,
  gearbox_per_week,
  generator_per_week,
  nacelle_per_week,
  vibration_per_week,
  output_per_week,
  last_day
FROM judged;
