"""Wind at every turbine: weather, turbulence, wakes."""
