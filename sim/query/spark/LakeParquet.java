import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.Closeable;
import java.io.IOException;
import java.io.Serializable;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.parquet.example.data.Group;
import org.apache.parquet.format.converter.ParquetMetadataConverter;
import org.apache.parquet.hadoop.ParquetReader;
import org.apache.parquet.hadoop.example.GroupReadSupport;
import org.apache.parquet.hadoop.util.HadoopInputFile;
import org.apache.parquet.schema.MessageType;
import org.apache.parquet.schema.Type;
import org.apache.spark.SparkException;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.expressions.GenericInternalRow;
import org.apache.spark.sql.execution.datasources.PartitionedFile;
import org.apache.spark.sql.execution.datasources.parquet.ParquetFileFormat;
import org.apache.spark.sql.execution.datasources.parquet.ParquetFooterReader;
import org.apache.spark.sql.execution.datasources.parquet.ParquetToSparkSchemaConverter;
import org.apache.spark.sql.internal.SQLConf;
import org.apache.spark.sql.sources.Filter;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.unsafe.types.UTF8String;
import org.apache.spark.util.SerializableConfiguration;
import scala.Function1;
import scala.collection.AbstractIterator;
import scala.collection.Iterator;
import scala.collection.immutable.Seq;
import scala.runtime.AbstractFunction1;

/**
 * Parquet objects in the form of a table, as the embedded tier's {@code conform} brings them there.
 *
 * <p>An object with the table's columns and types is read by Spark. Any other is read by its own
 * schema: a value that does not fit its column is null there and kept in {@code _rescued_data}. The
 * option {@code schemaEvolutionMode} says where an unknown column goes: {@code none} passes it
 * over, {@code rescue} puts it into {@code _rescued_data}, {@code failOnNewColumns} and {@code
 * addNewColumns} end the load with an error that has the object and its columns as JSON. For the
 * latter, the driver asks {@link #columns} for the columns, and starts again with a wider table; a
 * column that cannot be added is rescued.
 */
public final class LakeParquet extends ParquetFileFormat {
  static final String MODE = "schemaEvolutionMode";
  static final String RESCUED = "_rescued_data";

  @Override
  public boolean supportBatch(SparkSession session, StructType schema) {
    return false;
  }

  @Override
  public boolean isSplitable(
      SparkSession session, scala.collection.immutable.Map<String, String> options, Path path) {
    return false;
  }

  @Override
  public Function1<PartitionedFile, Iterator<InternalRow>> buildReaderWithPartitionValues(
      SparkSession session,
      StructType dataSchema,
      StructType partitionSchema,
      StructType requiredSchema,
      Seq<Filter> filters,
      scala.collection.immutable.Map<String, String> options,
      Configuration conf) {
    Function1<PartitionedFile, Iterator<InternalRow>> plain =
        super.buildReaderWithPartitionValues(
            session, dataSchema, partitionSchema, requiredSchema, filters, options, conf);
    String mode = options.getOrElse(MODE, () -> "none");
    var classic = (org.apache.spark.sql.classic.SparkSession) session;
    return new Reader(
        plain,
        dataSchema,
        requiredSchema,
        mode,
        SerializableConfiguration.broadcast(classic.sparkContext(), conf));
  }

  /** Reads one object, in the way that its schema asks for. */
  private static final class Reader
      extends AbstractFunction1<PartitionedFile, Iterator<InternalRow>> implements Serializable {
    private final Function1<PartitionedFile, Iterator<InternalRow>> plain;
    private final StructType table;
    private final StructType required;
    private final String mode;
    private final Broadcast<SerializableConfiguration> conf;

    Reader(
        Function1<PartitionedFile, Iterator<InternalRow>> plain,
        StructType table,
        StructType required,
        String mode,
        Broadcast<SerializableConfiguration> conf) {
      this.plain = plain;
      this.table = table;
      this.required = required;
      this.mode = mode;
      this.conf = conf;
    }

    @Override
    public Iterator<InternalRow> apply(PartitionedFile file) {
      Configuration hadoop = conf.value().value();
      try {
        MessageType schema = schema(file.toPath(), hadoop);
        List<String> unknown = new ArrayList<>();
        boolean fits = true;
        List<String> names = List.of(table.fieldNames());
        for (Type each : schema.getFields()) {
          int place = names.indexOf(each.getName());
          if (place < 0) {
            unknown.add(each.getName());
          } else {
            fits &= type(each).equals(table.fields()[place].dataType().catalogString());
          }
        }
        List<String> refused = new ArrayList<>(unknown);
        if (mode.equals("addNewColumns")) {
          refused.removeIf(name -> taken(name) || !Values.canBeAdded(schema.getType(name)));
        }
        boolean rescue = mode.equals("rescue") || mode.equals("addNewColumns");
        if (!refused.isEmpty() && !mode.equals("none") && !mode.equals("rescue")) {
          throw sneaky(new SparkException(unknownColumns(file.toPath().toString(), refused)));
        }
        if (fits && (unknown.isEmpty() || !rescue)) {
          return plain.apply(file);
        }
        return new Rows(file.toPath(), hadoop, required, rescue ? unknown : List.of());
      } catch (IOException error) {
        throw new UncheckedIOException(error);
      }
    }

    /** Whether the table has a column of this name, in whatever case. */
    private boolean taken(String name) {
      return java.util.Arrays.stream(table.fieldNames()).anyMatch(name::equalsIgnoreCase);
    }
  }

  /** Rows of an object by its own schema. */
  private static final class Rows extends AbstractIterator<InternalRow> implements Closeable {
    private final ParquetReader<Group> reader;
    private final StructField[] required;
    private final List<String> rescue;
    private Group next;

    Rows(Path path, Configuration conf, StructType required, List<String> rescue)
        throws IOException {
      this.reader = ParquetReader.builder(new GroupReadSupport(), path).withConf(conf).build();
      this.required = required.fields();
      this.rescue = rescue;
      this.next = reader.read();
    }

    @Override
    public boolean hasNext() {
      return next != null;
    }

    @Override
    public InternalRow next() {
      Group group = next;
      try {
        next = reader.read();
      } catch (IOException error) {
        throw new UncheckedIOException(error);
      }
      return row(group);
    }

    private InternalRow row(Group group) {
      Object[] values = new Object[required.length];
      Map<String, Object> rescued = new TreeMap<>();
      int rescuedAt = -1;
      for (int i = 0; i < required.length; i++) {
        String name = required[i].name();
        if (name.equals(RESCUED)) {
          rescuedAt = i;
        }
        Object value = value(group, name);
        values[i] = value == null ? null : Fit.fitting(value, required[i].dataType());
        if (value != null && values[i] == null) {
          rescued.put(name, value);
        }
      }
      for (String name : rescue) {
        Object value = value(group, name);
        if (value != null) {
          rescued.put(name, value);
        }
      }
      if (rescuedAt >= 0 && !rescued.isEmpty()) {
        Map<String, Object> all = new TreeMap<>(Json.object(values[rescuedAt]));
        all.putAll(rescued);
        values[rescuedAt] = UTF8String.fromString(Json.text(all));
      }
      return new GenericInternalRow(values);
    }

    private static Object value(Group group, String name) {
      if (!group.getType().containsField(name)) {
        return null;
      }
      return Values.decoded(group, group.getType().getFieldIndex(name));
    }

    @Override
    public void close() throws IOException {
      reader.close();
    }
  }

  /**
   * The columns of objects that a table can have, as JSON: [[[name, SQL type], ...], ...]. An
   * unreadable object has none.
   */
  public static String columns(String[] paths, Configuration conf) throws JsonProcessingException {
    List<List<List<String>>> found =
        java.util.Arrays.stream(paths).parallel().map(path -> columns(path, conf)).toList();
    return new ObjectMapper().writeValueAsString(found);
  }

  private static List<List<String>> columns(String path, Configuration conf) {
    try {
      List<List<String>> found = new ArrayList<>();
      for (Type each : schema(new Path(path), conf).getFields()) {
        if (Values.canBeAdded(each) && !type(each).isEmpty()) {
          found.add(List.of(each.getName(), type(each)));
        }
      }
      return found;
    } catch (IOException | RuntimeException error) {
      return List.of();
    }
  }

  private static MessageType schema(Path path, Configuration conf) throws IOException {
    return ParquetFooterReader.readFooter(
            HadoopInputFile.fromPath(path, conf), ParquetMetadataConverter.SKIP_ROW_GROUPS)
        .getFileMetaData()
        .getSchema();
  }

  /** The SQL type of a column, "" for one that Spark has no type for. */
  private static String type(Type column) {
    try {
      return new ParquetToSparkSchemaConverter(SQLConf.get())
          .convert(new MessageType("one", column))
          .fields()[0]
          .dataType()
          .catalogString();
    } catch (Exception error) {
      return "";
    }
  }

  private static String unknownColumns(String path, List<String> columns) {
    Map<String, Object> found = new LinkedHashMap<>();
    found.put("object", path);
    found.put("columns", columns);
    return "[UNKNOWN_COLUMNS] " + Json.text(found);
  }

  /** A checked error passes `ignoreCorruptFiles`, which is not meant for it. */
  @SuppressWarnings("unchecked")
  private static <E extends Throwable> RuntimeException sneaky(Throwable error) throws E {
    throw (E) error;
  }
}
